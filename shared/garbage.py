"""When Python's cycle collector looks, and at what.

A full collection stops the process for some 50 ms for each thousand sockets, most of it spent on objects that live as
long as the process or the socket: one of them among 60 rounds of writes was the whole 99th percentile (measured). So
what lives long is set aside, and looked at again only after enough of it has gone.
"""

import gc

SET_ASIDE_AFTER = 250
"""Newcomers until they are set aside: an automatic collection meets at most so many."""
COLLECT_AFTER = 1_000
"""Departures at least until what was set aside is looked through; half as many as stayed when that is more."""


def settle() -> None:
    """Everything is loaded: from here on no collection looks at what there is now. For whole processes alone."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Residents:
    """Objects of one kind that live long, in cycles: sockets. Told of each that came and went."""

    def __init__(self) -> None:
        self._came = self._left = 0

    def came(self) -> None:
        """One more lives here."""
        self._came += 1
        if self._came >= SET_ASIDE_AFTER:
            self._came = 0
            gc.freeze()

    def left(self, staying: int) -> None:
        """One has gone; `staying` are still here. What the gone ones held is given back now and then."""
        self._left += 1
        if self._left >= max(COLLECT_AFTER, staying // 2):
            self._came = self._left = 0
            settle()
