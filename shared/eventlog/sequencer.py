"""Gives committed events their positions, one leader per log; PgQ's method (see README.md beside this file).

Numbering and publishing run beside each other: Redis stopped, stalled or refilled delays no number, but for the first
second of a new leader, who looks where Redis is. Waiting for the oldest transaction, or reading ids upwards, were
simpler; the one stalls everybody, the other skips late commits.
"""

import asyncio
import random
from typing import Any

import asyncpg
from redis.asyncio import Redis

from shared.clock import monotonic
from shared.eventlog.cancellation import Cancellation
from shared.eventlog.installation import ForeignRedis, open_epoch, standing, what_changed
from shared.eventlog.leadership import Session, end_when_lost, session, stand_by
from shared.eventlog.publisher import Publisher
from shared.eventlog.stream import MAX_LENGTH, UNAVAILABLE, Fenced
from shared.faults import reached
from shared.postgres import POSTGRES_AWAY, Pool
from shared.telemetry import get_logger

log_ = get_logger(__name__)

PAGE = 1_000
"""Entries that come back with their numbers; the rest of a backlog is read by position."""
POLL = 0.002, 0.025
"""Seconds until the next look: right after an event, and at most. One that finds nothing costs Postgres some 50 µs."""
BETWEEN = 0.004
"""Seconds from one batch to the next at least: a commit of its own for each of 800 transactions a second would take
from Postgres what the writers need, and nobody sees two milliseconds."""
AGAIN = 0.1, 2.0
"""Seconds until a failed leader stands by again, first and at most."""

_NUMBER = "SELECT * FROM eventlog.number($1, $2, $3)"
_OTHER_EPOCH = "CH001"


class Sequencer:
    """The sequencer of log `log`: stands by, leads, and stands by again after any failure.

    `url` goes straight to Postgres (no pooler), as the schema's owner; `pool` is of the same role. `redis` None numbers
    without publishing. `wake` is set when something may have been committed.
    """

    def __init__(
        self, log: int, *, url: str, pool: Pool, redis: "Redis | None" = None, max_length: int = MAX_LENGTH
    ) -> None:
        self.log = log
        self.leading = asyncio.Event()
        self.wake = asyncio.Event()
        self._url = url
        self._pool = pool
        self._publisher = None if redis is None else Publisher(log, pool=pool, redis=redis, max_length=max_length)
        self._epoch = 0
        self._asked_at: float | None = None

    @property
    def publishes(self) -> bool:
        """Whether there is a Redis to publish to."""
        return self._publisher is not None

    @property
    def published(self) -> int | None:
        """The end of the stream as far as we know it."""
        return None if self._publisher is None else self._publisher.published

    async def run(self) -> None:
        """Until cancelled. Raises ForeignRedis when Redis belongs to another installation at the start of leading."""
        pause, cancellation = AGAIN[0], Cancellation()
        while True:
            cancellation.heed()
            led = False
            try:
                async with session(self._url, self.log) as connection:
                    await stand_by(connection, self.log)
                    led = True
                    await self._lead(connection, cancellation)
            except* POSTGRES_AWAY as errors:
                log_.warning(
                    "sequencer_interrupted", log=self.log, led=led, errors=[repr(e) for e in errors.exceptions]
                )
            finally:
                self.leading.clear()
            pause = AGAIN[0] if led else min(pause * 2, AGAIN[1])
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads, hides nothing

    async def _lead(self, connection: Session, cancellation: Cancellation) -> None:
        await reached("sequencer:connected", self.log)
        await self._compare()
        await reached("sequencer:compared", self.log)
        log_.info("sequencer_leads", log=self.log, epoch=self._epoch)
        self.leading.set()
        async with asyncio.TaskGroup() as tasks:
            if self._publisher is not None:
                tasks.create_task(self._publisher.run(), name=f"publish-{self.log}")
            lost = end_when_lost(connection, self.log, self._pool, lambda: self._asked_at)
            tasks.create_task(lost, name=f"lost-{self.log}")
            # Not a task of the group: on 3.11 a child that fails while the group waits for its end leaves our own
            # task counted as cancelled, and `run` would heed that and never lead again.
            await self._number(connection, cancellation)

    async def _compare(self) -> None:
        """Before anything is numbered: is this the server of last time, and is Redis where we left it?"""
        # The pool may still reach the server of before, which would say that nothing changed.
        await self._pool.expire_connections()
        now = await standing(self._pool, self.log)
        if (changed := await what_changed(self._pool)) is not None:
            await open_epoch(self._pool, expected=now.epoch, reason=f"another {changed}")
            await reached("sequencer:epoch_opened", self.log)
        if self._publisher is not None:
            try:
                await self._publisher.compare()
            except (*UNAVAILABLE, Fenced) as error:  # numbering does not wait for Redis; it is compared when it is back
                log_.warning("redis_not_compared", log=self.log, error=repr(error))
            except ForeignRedis:
                log_.critical("redis_of_another_installation", log=self.log)
                raise
        self._epoch = (await standing(self._pool, self.log)).epoch

    async def _number(self, connection: Session, cancellation: Cancellation) -> None:
        pause = POLL[0]
        while True:
            cancellation.heed()
            self.wake.clear()
            began = monotonic()
            await reached("sequencer:numbering", self.log)
            rows = await self._number_once(connection)
            if rows:
                await reached("sequencer:numbered", self.log)
                if self._publisher is not None:
                    self._publisher.numbered(self._epoch, rows)
                pause = POLL[0]
                await asyncio.sleep(began + BETWEEN - monotonic())
            try:
                async with asyncio.timeout(pause):
                    await self.wake.wait()
            except TimeoutError:
                pause = min(pause * 2, POLL[1])

    async def _number_once(self, connection: Session) -> list[Any]:
        """The first page of a window that is numbered and committed now; empty when nothing is pending."""
        self._asked_at = monotonic()
        try:
            rows: list[Any] = await connection.fetch(_NUMBER, self.log, self._epoch, PAGE)
        except (asyncpg.SerializationError, asyncpg.UniqueViolationError, asyncpg.LockNotAvailableError):
            return []  # somebody else numbered: not the leader, try again
        except asyncpg.PostgresError as error:
            if error.sqlstate != _OTHER_EPOCH:
                raise
            self._epoch = (await standing(self._pool, self.log)).epoch
            if self._publisher is not None:
                self._publisher.compare_soon()
            return []
        finally:
            self._asked_at = None
        return rows
