"""When a tail last stood at Postgres's head: how fresh what it has handed on is."""

from shared.clock import monotonic

FRESH_WITHIN = 1.0
"""Seconds for which having stood there counts."""


class Meeting:
    """One tail's. Positions are `seq`s; moments are of `monotonic()`."""

    def __init__(self, position: int) -> None:
        self._head, self._asked_at = position, 0.0  # what is to be reached, and when it was the head
        self._met_at, self._made_at = float("-inf"), monotonic()

    @property
    def fresh(self) -> bool:
        """Whether we stood at Postgres's head at some moment of the last second."""
        return monotonic() - self._met_at <= FRESH_WITHIN

    @property
    def ago(self) -> float:
        """Seconds since we last stood there, or since there is this tail."""
        return monotonic() - max(self._met_at, self._made_at)

    def look(self, asked_at: float, head: int) -> None:
        """Postgres's head was this, at some moment after `asked_at`."""
        self._asked_at, self._head = asked_at, head

    def reached(self, position: int) -> None:
        """The tail stands here now."""
        if position >= self._head:
            self._met_at = max(self._met_at, self._asked_at)
