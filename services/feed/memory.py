"""Guests' pages in memory, each dropped the moment the log shows an event on its channel. No IO here.

A page may be served while the log shows nothing there since it was read and its follower met Postgres's head within a
second; and read again every MAX_AGE, for nobody may be numbering. Members' pages are not kept: what they wrote through
another process shows here only with the log, maybe after their next read, and asking Postgres is the cost to be spared.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from shared import clock
from shared.wire import AsOf

MAX_AGE = 2.0
"""Seconds: positions stay within what a reader can catch up from, and a page asked for a thousand times a second is
still spared all but one read in two thousand."""
MOST_BYTES = 64 * 1024 * 1024
BESIDE = 4_096
"""Bytes that a page takes beside its body: its headers twice, its address, its places in the tables."""
_CHANNELS = 20_000
"""Channels whose last event is remembered, some 4 MB; of others only that it was not after the oldest of these."""

PageKey = tuple[str, bytes]
Headers = list[tuple[bytes, bytes]]


class GuestPage(NamedTuple):
    """One answer as every guest gets it: the whole, and what stands in its place for those who have it."""

    channel: str
    etag: bytes
    headers: Headers
    short_headers: Headers
    body: bytes


class Memory:
    """Guests' pages by address."""

    def __init__(self) -> None:
        self.fresh: Callable[[], bool] = lambda: False
        self._pages: OrderedDict[PageKey, GuestPage] = OrderedDict()
        self._expires: dict[PageKey, float] = {}
        self._keys: dict[str, set[PageKey]] = {}
        self._bytes = 0
        self._epoch = 0
        self._floor: list[int] = []
        self._last: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._touches = 0
        self._touched: OrderedDict[str, int] = OrderedDict()

    def begin(self, epoch: int, positions: Sequence[int]) -> None:
        """The logs are followed from here; what was known before is forgotten."""
        for key in list(self._pages):
            self._drop(key)
        self._last.clear()
        self._epoch, self._floor = epoch, list(positions)

    def take(self, log: int, seq: int, channels: Iterable[str]) -> None:
        """An entry of a log: pages of its channels are no longer true."""
        for channel in channels:
            self._last[log, channel] = seq
            self._last.move_to_end((log, channel))
            for key in list(self._keys.get(channel, ())):
                self._drop(key)
        while len(self._last) > _CHANNELS:
            (of, _), passed = self._last.popitem(last=False)
            self._floor[of] = max(self._floor[of], passed)

    def touch(self, channels: Iterable[str]) -> None:
        """This process wrote something that is visible there: its guests need not wait for the log to say so."""
        self._touches += 1
        for channel in channels:
            self._touched[channel] = self._touches
            self._touched.move_to_end(channel)
            for key in list(self._keys.get(channel, ())):
                self._drop(key)
        while len(self._touched) > _CHANNELS:
            self._touched.popitem(last=False)

    @property
    def moment(self) -> int:
        """What `keep` asks for: taken before a page is read."""
        return self._touches

    def get(self, key: PageKey) -> GuestPage | None:
        """The page, if it may be served. Once past its age it goes on for a second while whoever found out reads it."""
        page = self._pages.get(key)
        if page is None or not self.fresh():
            return None
        now = clock.monotonic()
        if self._expires[key] < now:
            self._expires[key] = now + 1
            return None
        return page

    def keep(self, key: PageKey, page: GuestPage, as_of: AsOf, moment: int) -> bool:
        """The page is kept, unless something happened on its channel since `as_of` or `moment`, or may have."""
        if self._touched.get(page.channel, 0) > moment:
            return False
        if not self.fresh() or not self._unchanged(page.channel, as_of):
            return False
        if key in self._pages:
            self._drop(key)
        self._pages[key] = page
        self._expires[key] = clock.monotonic() + MAX_AGE
        self._keys.setdefault(page.channel, set()).add(key)
        self._bytes += len(page.body) + BESIDE
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._pages)))
        return True

    def _unchanged(self, channel: str, as_of: AsOf) -> bool:
        if as_of.epoch != self._epoch or len(as_of.seq) != len(self._floor):
            return False
        return all(
            seq >= self._floor[log] and seq >= self._last.get((log, channel), 0) for log, seq in enumerate(as_of.seq)
        )

    def _drop(self, key: PageKey) -> None:
        page = self._pages.pop(key)
        del self._expires[key]
        self._bytes -= len(page.body) + BESIDE
        keys = self._keys[page.channel]
        keys.discard(key)
        if not keys:
            del self._keys[page.channel]
