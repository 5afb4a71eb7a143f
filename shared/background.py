"""Background tasks with the lifetime of what they belong to: begun and ended with it, and never broken unseen.

A task that ends untold has broken an assumption: nobody would notice what it no longer does, so the process is told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from shared.telemetry import get_logger

log = get_logger(__name__)

OnFatal = Callable[[BaseException], object]
"""Told once of what broke a task; it ends the process, so that a supervisor starts a whole one."""


@asynccontextmanager
async def running(name: str, work: Coroutine[Any, Any, None], on_fatal: OnFatal) -> AsyncIterator[None]:
    """`work` runs beside the block and is cancelled at its end. Should it end sooner, `on_fatal` gets its error."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception() or RuntimeError(f"{name} ended without being told to")
            log.critical("task_broke", task=name, exc_info=error)
            on_fatal(error)

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.remove_done_callback(ended)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
