"""How often one key may do one thing: a sliding window, kept in this process's memory.

Each process counts for itself: behind n processes up to n times as many get through. A shared count would put Redis
on the path of a write, which section 2 of the design rules out.
"""

from collections import OrderedDict

from shared import clock
from shared.errors import TooMany

_KEYS = 50_000
"""Keys remembered at most (about 10 MB); past that the longest unused are forgotten, in their own favour."""


class Throttle:
    """At most `limit` in any `window` seconds for each key."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        # Two counts a key: of the window under way and of the one before, of which the part that still counts is
        # taken to be evenly spread. Exact enough, and a key costs the same whatever its limit.
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()

    def take(self, key: str) -> None:
        """One attempt is counted before it is made, so that attempts side by side count too. Raises TooMany."""
        number, into = divmod(clock.monotonic(), self.window)
        current, before = self._read(key, int(number))
        if before * (1 - into / self.window) + current + 1 > self.limit:
            raise TooMany(retry_after=min(self.window, self.window - into + 1))
        self._write(key, int(number), current + 1, before)

    def give_back(self, key: str) -> None:
        """The attempt turned out to be none of those that are limited."""
        number = int(clock.monotonic() // self.window)
        current, before = self._read(key, number)
        self._write(key, number, max(0, current - 1), before)

    def _read(self, key: str, number: int) -> tuple[int, int]:
        at, current, before = self._counts.get(key, (number, 0, 0))
        if at == number:
            return current, before
        return (0, current) if at == number - 1 else (0, 0)

    def _write(self, key: str, number: int, current: int, before: int) -> None:
        self._counts[key] = (number, current, before)
        self._counts.move_to_end(key)
        while len(self._counts) > _KEYS:
            self._counts.popitem(last=False)
