"""What lies outside a ring: older entries, read from Postgres by one shared reader per log, and Postgres's own head.

However many sessions ask, one read goes on per log, and it extends the ring for all of them.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from services.notify.live import metrics
from services.notify.live.hub import Hub
from services.notify.live.ring import Ring
from shared.eventlog.cursor import head
from shared.eventlog.entries import Entry, read_range
from shared.postgres import Pool, acquire
from shared.telemetry import get_logger

log = get_logger(__name__)

EXTENSION = 20_000
"""Entries below a ring that Postgres is asked for: 0.1 s of reading. Older than that, fetching anew is cheaper."""
PAGE = 500
"""Entries that are read at once: the longest stories make that 80 MB."""
KEEP = 60.0
"""Seconds that an extended ring stays so: those who come back together find it."""
ATTEMPTS = 5

Done = Callable[[bool], None]


class History:
    """The rings' past and Postgres's head, for the recovery. `unable()` is called when Postgres does not answer."""

    def __init__(self, pool: Pool, hub: Hub, known_head: Callable[[int], int], unable: Callable[[], None]) -> None:
        self._pool = pool
        self._hub = hub
        self._known_head = known_head
        self._unable = unable
        self._wanted: dict[int, list[tuple[int, Done]]] = {}
        self._unconfirmed: list[tuple[int, int, Done]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._releases: dict[int, asyncio.TimerHandle] = {}

    def reach(self, number: int) -> int:
        """See Past."""
        ring = self._hub.rings[number]
        return max(ring.end - ring.capacity - EXTENSION, ring.floor - 1 - EXTENSION, 0)

    def extend(self, number: int, after: int, done: Done) -> None:
        """See Past."""
        waiting = self._wanted.setdefault(number, [])
        waiting.append((after, done))
        if len(waiting) == 1:
            self._spawn(self._read(number))

    def confirm(self, number: int, seq: int, done: Done) -> None:
        """See Past."""
        if seq <= self._known_head(number):
            done(True)
            return
        self._unconfirmed.append((number, seq, done))
        if len(self._unconfirmed) == 1:
            self._spawn(self._ask_head())

    async def close(self) -> None:
        """Stops reading. Safe twice."""
        for timer in self._releases.values():
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_head(self) -> None:
        heads: tuple[int, ...] | None = None
        try:
            async with acquire(self._pool) as connection:
                asked = len(self._unconfirmed)
                cursor = await head(connection)
                heads = cursor.seq
        except Exception as error:
            log.warning("head_unknown", error=repr(error))
            self._unable()
            self._unconfirmed.clear()
            return
        answered, self._unconfirmed = self._unconfirmed[:asked], self._unconfirmed[asked:]
        for number, seq, done in answered:
            done(seq <= heads[number])
        if self._unconfirmed:  # asked while the query ran: its snapshot may be older than their pages
            self._spawn(self._ask_head())

    async def _read(self, number: int) -> None:
        ring = self._hub.rings[number]
        while waiting := self._wanted[number]:
            lowest = min(after for after, _ in waiting)
            try:
                ring.hold(EXTENSION)
                older = await self._older(ring, lowest)
                ring.prepend(older)
            except Exception as error:
                log.warning("history_unavailable", log=number, error=repr(error))
                self._wanted[number] = []
                if number not in self._releases:  # nobody else's extension is held
                    ring.release()
                self._unable()
                return
            metrics.HISTORY.labels(number).inc(len(older))
            self._keep(ring)
            served = [each for each in waiting if each[0] >= lowest]
            self._wanted[number] = [each for each in waiting if each[0] < lowest]
            for after, done in served:
                done(after + 1 >= ring.floor)

    async def _older(self, ring: Ring, after: int) -> list[Entry]:
        """Entries after `after` up to the ring's floor; fewer from below when retention took some, and none when they
        have more bytes than the ring may take, or it has let go of what they would end at."""
        last = ring.floor - 1
        older: list[Entry] = []
        weight = 0
        while after < last:
            page = await read_range(self._pool, ring.log, after + 1, last, PAGE)
            if not page:
                return []
            if page[0].seq != after + 1:
                older, weight = [], 0  # below this is gone
            older += page
            weight += sum(len(entry.payload) for entry in page)
            after = page[-1].seq
            if weight > ring.spare or ring.floor - 1 != last:
                return []
        return older

    def _keep(self, ring: Ring) -> None:
        if (timer := self._releases.get(ring.log)) is not None:
            timer.cancel()
        self._releases[ring.log] = asyncio.get_running_loop().call_later(KEEP, self._release, ring)

    def _release(self, ring: Ring) -> None:
        if self._wanted.get(ring.log):
            self._keep(ring)  # a read is under way: what it brings has to fit below the floor of now
        else:
            del self._releases[ring.log]
            ring.release()
