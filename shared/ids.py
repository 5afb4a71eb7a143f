"""Ids: time-ordered 63-bit integers made by the application.

42 bits of milliseconds since 1970 and 21 low bits, so that the order of ids is the order of time and a page of posts
is one index scan. Two processes that make an id in the same millisecond collide once in two million; the primary key
refuses it and `shared.postgres.retrying` runs again. On the wire an id is a string: JavaScript ends at 53 bits.
"""

import secrets
import threading
from datetime import UTC, datetime

from shared import clock

_LOW_BITS = 21
_LOW = 1 << _LOW_BITS
MAX_ID = (1 << 63) - 1

_lock = threading.Lock()
_last = 0


def new_id(at_ms: int | None = None) -> int:
    """A fresh id; `at_ms` (milliseconds since 1970) places an imported row in its own time.

    Without `at_ms` ids of one process grow strictly, also when the clock steps back.
    """
    global _last
    low = secrets.randbelow(_LOW)
    if at_ms is not None:
        return (at_ms << _LOW_BITS) | low
    with _lock:
        made = (int(clock.unix() * 1000) << _LOW_BITS) | low
        _last = made if made > _last else _last + 1
        return _last


def id_time(made: int) -> datetime:
    """The millisecond in which an id was made, in UTC."""
    return datetime.fromtimestamp((made >> _LOW_BITS) / 1000, tz=UTC)


def parse_id(text: str) -> int | None:
    """The id that `text` writes in canonical decimal digits, or None: such an id exists nowhere."""
    if not (0 < len(text) <= 19 and text.isascii() and text.isdigit()) or text[0] == "0":
        return None
    value = int(text)
    return value if value <= MAX_ID else None
