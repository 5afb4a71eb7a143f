"""Follows the logs for the memory of guests' pages. When it can't, pages come from Postgres as if it weren't there."""

import asyncio

from redis.asyncio import Redis

from services.feed.memory import Memory
from shared.eventlog.cursor import head
from shared.eventlog.position import Position
from shared.eventlog.tail import BehindFloor, EpochChanged, Tail
from shared.postgres import POSTGRES_AWAY, Pool, acquire
from shared.telemetry import get_logger

log = get_logger(__name__)

_AGAIN = 0.5
"""Seconds until the logs are taken up again after something went wrong."""


class Follower:
    """Feeds `memory` while it runs."""

    def __init__(self, memory: Memory, pool: Pool, redis: "Redis | None") -> None:
        self._memory = memory
        self._pool = pool
        self._redis = redis
        self._tails: list[Tail] = []

    def _fresh(self) -> bool:
        return bool(self._tails) and all(tail.meeting.fresh for tail in self._tails)

    async def run(self) -> None:
        """Until cancelled. Raises what breaks an assumption: pages might be told that are no longer true."""
        self._memory.fresh = self._fresh
        while True:
            try:
                await self._follow()
            except* (EpochChanged, BehindFloor) as errors:
                log.info("logs_taken_up_again", cause=repr(errors.exceptions[0]))
            except* POSTGRES_AWAY as errors:
                log.warning("logs_not_followed", cause=repr(errors.exceptions[0]))
            self._tails = []
            await asyncio.sleep(_AGAIN)

    async def _follow(self) -> None:
        async with acquire(self._pool) as connection:
            cursor = await head(connection)
        self._memory.begin(cursor.epoch, cursor.seq)
        tails = [
            Tail(number, pool=self._pool, redis=self._redis, start=Position(cursor.epoch, seq))
            for number, seq in enumerate(cursor.seq)
        ]
        async with asyncio.TaskGroup() as tasks:
            for tail in tails:
                tasks.create_task(self._take(tail), name=f"tail-{tail.log}")
            self._tails = tails

    async def _take(self, tail: Tail) -> None:
        try:
            async for entries in tail:
                for entry in entries:
                    self._memory.take(tail.log, entry.seq, entry.channels)
        finally:
            await tail.aclose()
