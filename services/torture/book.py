"""What all clients counted together, and what no server may do."""

from collections import Counter


class Book:
    """`wrong` is what no server may do; the rest is for the report."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()
        self.resets: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.latencies: list[tuple[float, float]] = []
        """(when, seconds from the event's own time until it was applied live)"""
        self.slots: list[float] = []
        """Seconds in which clients were asked to be gone."""
