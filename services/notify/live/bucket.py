"""A token bucket: so much at once, and so much a second for ever."""


class Bucket:
    """Holds `burst` tokens at most and at first, and gets `rate` of them a second. Times are seconds of one clock."""

    __slots__ = ("_burst", "_rate", "_tokens", "_when")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._tokens = burst
        self._when = now

    def take(self, now: float) -> bool:
        """One token less, if there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._when) * self._rate)
        self._when = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
