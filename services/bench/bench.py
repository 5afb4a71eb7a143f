"""What every row is handed: the stack, the generators, how long and how often, and what the machine can do."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.bench.figures import REFERENCE_RAW_MS, Scale
from services.bench.stack import Stack
from services.bench.tools import Tools

FRAME = 350
"""Bytes of a raw write: an event of 200 bytes in its frame."""


class Size(NamedTuple):
    """How large the run is: the sizes of section 9, or `quick` ones that show that everything works."""

    sockets: int
    clients: int  # that reconnect
    idle: int  # sockets whose memory is measured
    backlog: int
    slow_seconds: float  # of a live row at 50 or 100 events a second
    seconds: float  # of every other row
    open_seconds: float  # how long the long transaction stays open


FULL = Size(1_000, 5_000, 4_000, 100_000, 12.0, 8.0, 30.0)
QUICK = Size(100, 200, 200, 5_000, 1.5, 1.5, 2.0)


class Bench:
    """One run of the bench over its own servers."""

    def __init__(self, stack: Stack, tools: Tools, *, runs: int, quick: bool) -> None:
        self.stack = stack
        self.tools = tools
        self.runs = runs
        self.quick = quick
        self.size = QUICK if quick else FULL
        self.looks: list[float] = []
        """All looks at the raw write, in milliseconds."""
        self._first = 0

    def begin_row(self) -> None:
        """What was looked at before is of other rows."""
        self._first = len(self.looks)

    def turns(self) -> Iterator[None]:
        """One turn for each run of a row whose targets depend on the machine, each after a look at its raw write."""
        for _ in range(self.runs):
            self.looks.append(self._raw_write_ms())
            yield

    @property
    def scale(self) -> Scale:
        """Of the row's own looks, which were taken in turn with its runs: machines have good minutes and bad ones."""
        raw = min(self.looks[self._first :])  # what we have left to do ourselves must not make a target easy
        return Scale(raw if self.tools.compiled else min(raw, REFERENCE_RAW_MS))  # a stand-in makes no target easy

    @property
    def limit(self) -> str:
        """The same in words, for the table."""
        return f"raw write {self.scale.raw_ms:.1f} ms"

    def _raw_write_ms(self) -> float:
        """Milliseconds of one bare write to each of 1,000 sockets that another process reads, a median."""
        return float(self.tools.run("rawwrite", 1000, FRAME, 20 if self.quick else 60, timeout=60)["median_ms"])

    def file(self, name: str, content: bytes) -> Path:
        """A file for a generator to read."""
        path = self.stack.folder / name
        path.write_bytes(content)
        return path


def now_us() -> int:
    """Microseconds since 1970, as stamps are."""
    return time.time_ns() // 1000


def cpu_note(shares: dict[str, float], load: dict[str, float]) -> str:
    """CPU of ours and of the load, in percent of one core, in words."""
    ours = ", ".join(f"{name} {share:.0f} %" for name, share in shares.items())
    theirs = ", ".join(f"{name} {share:.0f} %" for name, share in load.items())
    return f"CPU of one core: {ours or 'not known'}; load: {theirs}"
