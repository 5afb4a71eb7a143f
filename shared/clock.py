"""The one clock of a process: the wall clock that may be moved for tests, and the monotonic one that never is.

CHORUS_CLOCK_OFFSET moves it, CHORUS_CLOCK_FILE again at each SIGUSR2; not what Postgres's own clock decides: an event's
`at` and day, `numbered_at`, `moved_at`, an epoch's minutes, columns that default to now(), its timeouts. Nobody
else in shared/ and services/ asks the system for the time, but bench and torture: they judge who has a moved clock.
"""

import signal
import time
from datetime import UTC, datetime
from pathlib import Path

monotonic = time.monotonic
"""Seconds since some moment, for spans of time: nobody's correction of the wall clock moves it."""

_offset = 0.0


def unix() -> float:
    """Seconds since 1970, as far as this process knows."""
    return time.time() + _offset


def now() -> datetime:
    """The moment in UTC, as far as this process knows."""
    return datetime.fromtimestamp(unix(), UTC)


def move(seconds: float) -> None:
    """From now on the wall clock is this far from the system's; 0 puts it right."""
    global _offset
    _offset = seconds


def configure(offset: float, file: str) -> None:
    """Takes the settings. With a `file` every SIGUSR2 reads the offset from it anew; call it from the main thread."""
    move(offset)
    if file:
        signal.signal(signal.SIGUSR2, lambda _number, _frame: move(float(Path(file).read_text(encoding="ascii"))))
