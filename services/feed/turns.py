"""Turns at one row: who wants what many want waits without a connection, so that a hot row does not eat the pool.

The row's lock lets one in at a time in any case; whoever queues there would hold a connection that others need.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import Busy
from shared.postgres import ACQUIRE_TIMEOUT

AT_ONCE = 3
"""Writers of one process at one row: one that holds it, one whose answer is on its way, one that is next. A pool has
twelve connections."""


class _Place:
    __slots__ = ("free", "wanted")

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(AT_ONCE)
        self.wanted = 0


class Turns:
    """The turns of one kind of write. Places are forgotten when nobody wants them."""

    def __init__(self) -> None:
        self._places: dict[object, _Place] = {}

    @asynccontextmanager
    async def at(self, place: object) -> AsyncIterator[None]:
        """One of AT_ONCE who are there, for the length of the block; take no connection before.

        Raises Busy after ACQUIRE_TIMEOUT: as long as the lock itself, and a connection, are waited for.
        """
        held = self._places.setdefault(place, _Place())
        held.wanted += 1
        try:
            try:
                async with asyncio.timeout(ACQUIRE_TIMEOUT):
                    await held.free.acquire()
            except TimeoutError as error:
                raise Busy("Too many writers at this place.", retry_after=1) from error
            try:
                yield
            finally:
                held.free.release()
        finally:
            held.wanted -= 1
            if not held.wanted:
                del self._places[place]
