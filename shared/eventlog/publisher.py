"""Keeps one Redis stream equal to the numbered log: appends what is numbered, mends whatever Redis lost.

It never holds up numbering, and needs no leadership: what it appends is committed, and its place is its id. Redis's
last id is compared with the head at start, after every failure, and every second even when nothing happens.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from shared.clock import monotonic
from shared.eventlog.cancellation import Cancellation
from shared.eventlog.entries import read_rows
from shared.eventlog.installation import ForeignRedis, install_id, open_epoch, standing
from shared.eventlog.position import Position
from shared.eventlog.stream import MAX_LENGTH, UNAVAILABLE, Fenced, Gap, Stream
from shared.faults import reached
from shared.postgres import Pool
from shared.telemetry import get_logger

log_ = get_logger(__name__)

PAGE = 1_000
"""Entries of one script call: about 5 ms, in which Redis serves nobody else."""
CHECK_EVERY = 1.0
"""Seconds between two comparisons with Redis."""
PAUSE = 0.1, 1.0
"""Seconds until Redis is tried again, first and at most."""
PAGES_KEPT = 32
"""Pages of numbered rows kept in memory for a publisher that lags; older ones are read back from Postgres."""
LAST_EPOCH = 2**31 - 2
"""Epochs are minutes since 2020; a stream id above this was made by somebody else."""


class Publisher:
    """The publisher of log `log`. `run()` ends only by cancellation or when Postgres fails it."""

    def __init__(self, log: int, *, pool: Pool, redis: Redis, max_length: int = MAX_LENGTH) -> None:
        self.log = log
        self.published: int | None = None
        """The stream's end as we know it; None until compared."""
        self._pool = pool
        self._stream = Stream(redis, log, max_length=max_length)
        self._epoch = self._head = 0
        self._pages: deque[list[Any]] = deque(maxlen=PAGES_KEPT)
        self._news = asyncio.Event()
        self._compare_at = 0.0
        self._erased: set[int] = set()
        self._away = False

    def numbered(self, epoch: int, rows: list[Any]) -> None:
        """These rows of `eventlog.number()` are committed. Keeps them when they are what comes next."""
        if epoch != self._epoch or self.published is None:
            self._compare_at = 0.0
        else:
            self._head = rows[0]["head"]
            self._pages.append(rows)
        self._news.set()

    def compare_soon(self) -> None:
        """Something changed behind our back: look at once."""
        self._compare_at = 0.0
        self._news.set()

    async def run(self) -> None:
        """The stream follows the head, until cancelled."""
        pause, cancellation = PAUSE[0], Cancellation()
        while True:
            cancellation.heed()
            try:
                await self._step()
                pause = PAUSE[0]
            except (Fenced, Gap) as error:
                log_.warning("stream_lost_its_place", log=self.log, error=str(error))
                self._forget()
            except (*UNAVAILABLE, ForeignRedis) as error:
                self._note_away(error)
                self._forget()
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE[1])

    async def compare(self) -> None:
        """Our place is known again: the stream's end, or a stream begun anew. Raises ForeignRedis, Fenced, and what
        Redis and Postgres raise.

        Redis is read first and Postgres second: what Redis shows was committed before, so Redis ahead means that
        Postgres lost history.
        """
        self._compare_at = monotonic() + CHECK_EVERY
        owner = await install_id(self._pool)
        last = await self._stream.last()
        found = await self._stream.claim(owner)  # asked last: what was read before is of the Redis that answers this
        if found != owner:
            raise ForeignRedis(f"this Redis belongs to installation {found}, we are {owner}")
        if last is not None and last.epoch > LAST_EPOCH:
            raise ForeignRedis(f"{self._stream.key} ends at {last}, which is no position")
        now = await standing(self._pool, self.log)
        if last is not None and last > (now.epoch, now.head):
            await open_epoch(self._pool, expected=now.epoch, redis_epoch=last.epoch, reason=f"Redis is ahead: {last}")
            await reached("sequencer:epoch_opened", self.log)
            now = await standing(self._pool, self.log)
        if now.epoch != self._epoch:
            self._pages.clear()
        # numbered() may have told of more while Postgres was asked; within an epoch the head only grows.
        self._head = now.head if now.epoch != self._epoch else max(now.head, self._head)
        self._epoch = now.epoch
        await self._take_place(last, max(now.floor - 1, now.head - self._stream.max_length, 0))
        await reached("sequencer:attached", self.log)
        await self._erase_redacted()
        self._note_back()

    async def _take_place(self, last: Position | None, oldest: int) -> None:
        if last is None or last < (self._epoch, oldest):
            log_.info("stream_begun", log=self.log, was=str(last), at=f"{self._epoch}-{oldest}", head=self._head)
            await self._stream.begin(Position(self._epoch, oldest))
            await reached("sequencer:begun", self.log)
            self.published = oldest
            self._erased.clear()
        elif self.published != last.seq:
            self.published = last.seq
            self._erased.clear()

    async def _step(self) -> None:
        if self.published is None or monotonic() >= self._compare_at:
            await self.compare()
        self._news.clear()
        if self.published is not None and self.published < self._head:
            await self._publish_page(self.published)
        elif (wait := self._compare_at - monotonic()) > 0:
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _publish_page(self, after: int) -> None:
        rows = await self._next_rows(after)
        if not rows or rows[0]["seq"] != after + 1:
            raise Gap(f"Postgres no longer holds entry {after + 1}")
        await reached("sequencer:publishing", self.log)
        async with self._reading_ahead(rows[-1]["seq"]):
            last = await self._stream.publish(self._epoch, after, rows)
        await reached("sequencer:published", self.log)
        self.published = last
        if last < self._head:
            await reached("sequencer:between_pages", self.log)

    @asynccontextmanager
    async def _reading_ahead(self, after: int) -> AsyncIterator[None]:
        """In a backlog the next page is read while this one is appended: Postgres and Redis work side by side."""
        if after >= self._head or (self._pages and self._pages[0][0]["seq"] <= after + 1):
            yield
            return
        reading = asyncio.create_task(read_rows(self._pool, self.log, after, self._head, PAGE))
        try:
            yield
            if rows := await reading:
                self._pages.appendleft(rows)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _next_rows(self, after: int) -> list[Any]:
        while self._pages:
            page = self._pages[0]
            if page[0]["seq"] > after + 1:
                break
            self._pages.popleft()
            if page[-1]["seq"] > after:
                return page[after + 1 - page[0]["seq"] :]
        return await read_rows(self._pool, self.log, after, self._head, PAGE)

    async def _erase_redacted(self) -> None:
        """Deletes redacted entries that have been appended; those not yet appended wait for the next comparison."""
        redacted = await self._pool.fetch(
            "SELECT id, seq FROM eventlog.redaction WHERE log = $1 AND seq <= $2 AND id <> ALL ($3::bigint[])",
            self.log,
            self.published,
            list(self._erased),
        )
        await self._stream.erase([Position(self._epoch, row["seq"]) for row in redacted])
        self._erased.update(row["id"] for row in redacted)

    def _forget(self) -> None:
        self.published = None
        self._pages.clear()

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            log_.error("redis_away", log=self.log, error=repr(error))
        self._away = True

    def _note_back(self) -> None:
        if self._away:
            log_.info("redis_back", log=self.log, at=self.published, head=self._head)
        self._away = False
