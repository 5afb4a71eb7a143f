"""The one clock of a process: the wall clock that may be moved for tests, and the monotonic one that never is.

CHORUS_CLOCK_OFFSET moves it, CHORUS_CLOCK_FILE too, at the start and at each SIGUSR2; not what Postgres's decides: an
event's `at` and day, `numbered_at`, `moved_at`, an epoch's minutes, columns that default to now(), timeouts. Nobody
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
    """Takes the settings. With a `file` that holds another offset, that is read now, and anew at every SIGUSR2; call it
    from the main thread."""
    move(offset)
    if file:
        signal.signal(signal.SIGUSR2, lambda _number, _frame: _read(Path(file)))
        if Path(file).exists():
            _read(Path(file))  # after that: news that came while we were starting are in it


def _read(file: Path) -> None:
    move(float(file.read_text(encoding="ascii")))
