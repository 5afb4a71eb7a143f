"""Composition root of the publishing process: one sequencer per log, and the log's retention.

Any number of these may run: each log is led by one of them, the others stand by.
"""

import asyncio
import contextlib
import datetime
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import asyncpg
import uvloop

from services.feed.publishing_door import Door
from services.feed.settings import FeedSettings
from shared import clock, faults
from shared.eventlog import retention, wakes
from shared.eventlog.installation import ForeignRedis, LogsAreFixed, initialise
from shared.eventlog.sequencer import Sequencer
from shared.listening import listen
from shared.postgres import open_pool
from shared.redis_client import open_redis
from shared.settings import load
from shared.telemetry import configure, get_logger

log_ = get_logger(__name__)

INVALID, UNAVAILABLE = 3, 4
"""Exit codes."""


def main() -> None:
    """`python -m services.feed.publish`: settings from the environment."""
    run(load(FeedSettings, os.environ, require=("database_url",)))


def run(settings: FeedSettings) -> None:
    """Publishes until SIGTERM or SIGINT. Ends the process with 3 or 4 when it can't start with these settings."""
    configure("sequencer", level=settings.log_level, style=settings.log_format)
    clock.configure(settings.clock_offset, settings.clock_file)
    faults.configure(settings.faults, settings.faults_log)
    try:
        uvloop.run(publish(settings))
    except LogsAreFixed as error:
        log_.critical("logs_are_fixed", error=str(error), remedy=LogsAreFixed.__doc__)
        sys.exit(INVALID)
    except (ForeignRedis, OSError, asyncpg.PostgresError) as error:
        remedy = ForeignRedis.__doc__ if isinstance(error, ForeignRedis) else "See whether Postgres runs."
        log_.critical("cannot_publish", error=repr(error), remedy=remedy)
        sys.exit(UNAVAILABLE)


async def publish(settings: FeedSettings) -> None:
    """Numbers and publishes every log until the process is told to stop. Raises what keeps it from starting."""
    url = settings.postgres_direct()
    async with contextlib.AsyncExitStack() as stack:
        door = listen(settings.host, settings.sequencer_port) if settings.sequencer_port else None
        if door is not None:
            stack.callback(door.close)
        await initialise(url, settings.logs)
        pool = await open_pool(url, application_name="chorus publisher", max_size=settings.logs + 2)
        stack.push_async_callback(pool.close)
        redis = open_redis(settings.redis_address()) if settings.redis_url else None
        if redis is not None:
            stack.push_async_callback(redis.aclose)
        sequencers = [
            Sequencer(log, url=url, pool=pool, redis=redis, max_length=settings.stream_length)
            for log in range(settings.logs)
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                told = asyncio.Event()
                work = [
                    tasks.create_task(_until_told(each.run(), told), name=f"sequencer-{each.log}")
                    for each in sequencers
                ]
                keep = datetime.timedelta(days=settings.retention_days)
                work.append(tasks.create_task(retention.run(pool, keep=keep), name="retention"))
                if redis is not None:
                    heard = [each.wake for each in sequencers]
                    work.append(tasks.create_task(wakes.listen(redis, heard), name="wakes"))
                if door is not None:
                    work.append(
                        tasks.create_task(Door(sequencers, pool, redis=redis, keep=keep).run(door), name="door")
                    )
                _stop_when_told(work, told)
        except ExceptionGroup as broken:
            raise broken.exceptions[0] from None


async def _until_told(run: Coroutine[Any, Any, None], told: asyncio.Event) -> None:
    """Runs until `told`. A log that nobody numbers must end the process: silence would look like an idle community."""
    try:
        await run
    except asyncio.CancelledError:
        if told.is_set():
            raise
    raise RuntimeError("a sequencer ended without being told to")


def _stop_when_told(work: list[asyncio.Task[None]], told: asyncio.Event) -> None:
    def stop() -> None:
        told.set()
        for task in work:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


if __name__ == "__main__":
    main()
