"""What all clients counted together, and what no server may do."""

from collections import Counter
from typing import Any


class Book:
    """`wrong` is what no server may do; the rest is for the report."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()
        self.resets: Counter[str] = Counter()
        self.epoch: int | None = None
        """The epoch of the logs; None while Postgres is losing history."""
        self.wrong: list[str] = []
        self.latencies: list[tuple[float, float]] = []
        """(when, seconds from the event's own time until it was applied live)"""
        self.slots: list[float] = []
        """Seconds in which clients were asked to be gone."""

    def reset(self, who: str, frame: dict[str, Any], epoch: int | None) -> None:
        """A client is told to fetch again; what it had was of that epoch, None: it had nothing.

        Only lost history is a reason: nobody is away for long enough to be too old, and no channel is reloaded.
        """
        reason = frame["reason"]
        self.resets[reason] += 1
        if reason != "epoch" or (epoch is not None and epoch == self.epoch):
            self.wrong.append(f"{who} had positions of epoch {epoch}, which is {self.epoch}, and was told {frame}")
