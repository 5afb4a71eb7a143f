"""Whether Redis is behind Postgres: judged by what it was asked for and did not bring.

Being behind alone proves nothing: a reader that is slow itself, or has much to catch up with, is behind a good Redis.
"""

from shared.clock import monotonic

_NEVER = float("-inf")


class Lag:
    """One tail's judgement. `interval` is the time in seconds between two looks at Postgres's head."""

    def __init__(self, interval: float) -> None:
        self._half = interval / 2
        self.clear()

    def clear(self) -> None:
        """Redis begins anew, owing nothing."""
        self._owed = (_NEVER, 0)  # a look at Postgres's head: when, and what it was
        self._asked_at: float | None = None
        self._empty_at = _NEVER

    def asked(self) -> None:
        """Redis is asked for what comes next."""
        self._asked_at = monotonic()

    def answered(self, *, more: bool) -> None:
        """It answered, and had still more; or that was all it had."""
        self._asked_at = None
        if not more:
            self._empty_at = monotonic()

    def judge(self, position: int, head: int) -> bool:
        """At a look at Postgres's head: whether what it was at the look before has still not come from Redis.

        Said only when Redis has since been asked, and had no more or has not answered for half an interval.
        """
        now = monotonic()
        since, owed = self._owed
        if position >= owed:
            self._owed = (now, head)
            return False
        unanswered = self._asked_at is not None and now - max(self._asked_at, since) >= self._half
        return unanswered or self._empty_at - since >= self._half
