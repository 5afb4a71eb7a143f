"""Wakes the sequencer after a commit, without a response ever waiting for Redis.

Wakes that fall together become one: it says "look", not "look at this".
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.eventlog import outbox


class Waker:
    """`wake()` returns at once; one task does the talking. Without Redis nothing happens: the sequencer polls."""

    def __init__(self, redis: "Redis | None") -> None:
        self._redis = redis
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Something was committed."""
        self._asked.set()

    async def reaches_redis(self) -> bool:
        """Whether Redis answers; true where there is none to answer."""
        if self._redis is None:
            return True
        try:
            async with asyncio.timeout(1):
                return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def __aenter__(self) -> Self:
        if self._redis is not None:
            self._task = asyncio.create_task(self._run(), name="waker")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await outbox.wake(self._redis)
