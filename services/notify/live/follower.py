"""Follows every log into a hub, epoch after epoch. What breaks an assumption ends `run`, and so the process."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from redis.asyncio import Redis

from services.notify.live.generation import Generation
from services.notify.live.hub import FRAME
from services.notify.live.ring import Ring
from services.notify.settings import NotifySettings
from shared.eventlog.cursor import head
from shared.eventlog.entries import Entry, read_range
from shared.eventlog.position import Position
from shared.eventlog.tail import EpochChanged, Tail
from shared.postgres import POSTGRES_AWAY, Pool, acquire
from shared.telemetry import get_logger

log = get_logger(__name__)

PAGE = 1_000
AGAIN = 0.5
"""Seconds between two attempts while Postgres is away."""


class Follower:
    """`current` is the generation that new sockets join; None while the rings are being filled. `tails`: one a log."""

    def __init__(
        self,
        pool: Pool,
        redis: "Redis | None",
        settings: NotifySettings,
        *,
        mark_interval: float,
        on_retired: Callable[[Generation], object],
    ) -> None:
        self._pool = pool
        self._redis = redis
        self._settings = settings
        self._mark_interval = mark_interval
        self._on_retired = on_retired
        self.tails: list[Tail] = []
        self.current: Generation | None = None

    async def run(self) -> None:
        """Until cancelled. Raises what broke: the process is of no use without its tails."""
        while True:
            generation = await self._load()
            try:
                await self._follow(generation)
            except* EpochChanged as changed:
                generation.retired = True
                log.warning("epoch_changed", was=generation.hub.epoch, change=repr(changed.exceptions[0]))
            finally:
                self.current = None
                await generation.close()
                for tail in self.tails:
                    await tail.aclose()
            self._on_retired(generation)

    def broken(self) -> dict[str, str]:
        """What keeps this side from serving, or slows it, as health checks name it."""
        if self.current is None:
            return {"!ring": "The newest entries are still being read."}
        slow = [str(number) for number, tail in enumerate(self.tails) if tail.source != "redis"]
        return {"tail": f"Logs read from Postgres: {', '.join(slow)}."} if slow else {}

    async def _load(self) -> Generation:
        """A generation whose rings are filled through the head of a moment ago."""
        while True:
            try:
                async with acquire(self._pool) as connection:
                    cursor = await head(connection)
                rings = [await self._filled(number, seq) for number, seq in enumerate(cursor.seq)]
            except POSTGRES_AWAY as error:
                log.warning("ring_not_filled", error=repr(error))
                await asyncio.sleep(AGAIN)
                continue
            self.tails = [
                Tail(ring.log, pool=self._pool, redis=self._redis, start=Position(cursor.epoch, ring.end))
                for ring in rings
            ]
            log.info("ring_filled", epoch=cursor.epoch, entries=[len(ring) for ring in rings])
            load = self._settings.write_buffer // 2
            return Generation(self._pool, cursor.epoch, rings, self._known_head, self._mark_interval, load)

    async def _filled(self, number: int, last: int) -> Ring:
        first = max(last - self._settings.ring, 0)
        while True:
            page = await read_range(self._pool, number, first + 1, last, PAGE) if first < last else []
            if not page or page[0].seq == first + 1:
                break
            first = page[0].seq - 1  # retention took what lies below
        ring = Ring(number, self._settings.ring, first if page else last)
        while page:
            ring.fill(page)
            page = []  # not kept beside the next one: the longest stories make either of them 160 MB
            if ring.end < last:
                page = await read_range(self._pool, number, ring.end + 1, last, PAGE)
        if ring.end != last:
            raise AssertionError(f"log {number}: Postgres gave {ring.end} of {last}")
        return ring

    def _known_head(self, number: int) -> int:
        return self.tails[number].pg_head

    async def _follow(self, generation: Generation) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(generation.run(), name="generation")
            for number, tail in enumerate(self.tails):
                tasks.create_task(self._take(generation, number, tail), name=f"tail-{number}")
            self.current = generation

    async def _take(self, generation: Generation, number: int, tail: Tail) -> None:
        hub = generation.hub
        async for entries in tail:
            for part in parts(entries, hub.load // 4):
                await hub.room()
                hub.take(number, part)
            await asyncio.sleep(0)  # the round goes first: it takes its turn before more is read
        raise RuntimeError(f"the tail of log {number} ended")


def parts(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    """`entries` in pieces whose frames have about `size` bytes, or of one entry."""
    first = gathered = 0
    for place, entry in enumerate(entries):
        gathered += (len(entry.payload) + FRAME) * len(entry.channels)
        if gathered >= size:
            yield entries[first : place + 1]
            first, gathered = place + 1, 0
    if first < len(entries):
        yield entries[first:]
