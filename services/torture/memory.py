"""How much memory a process may take: what it had once it was up, and what its settings let it hold beside that.

A flat number would let a small process leak for hours and refuse a large one its ring. Settings are those of the stage,
which are the defaults where it names none; what they bound in entries is priced by what the run's log really holds.
"""

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

MB = 1e6
SETTLED = 5.0
"""Seconds until a process has imported and opened what it needs; idle, it takes two."""
SLACK = 48.0
"""MB beside what is counted below: what allocators keep of bursts, connections, late imports, answers on their way."""
RING, STREAM = 100_000, 200_000
"""CHORUS_RING and CHORUS_STREAM_LENGTH, in entries."""
ENTRY = 1_000
"""Bytes of an entry in memory beside its payload: its fields, and its place in each channel's index."""
SOCKET = 28_000 + 65_536
"""Bytes of an idle socket (the contract's figure) and of CHORUS_WRITE_BUFFER."""
PAGE = 1_000
"""Entries that a sequencer takes to Redis at once: as rows, as arguments, and as bytes to be sent."""
GUESTS = 64 * 1024 * 1024 + 16e6
"""Bytes of the feed's pages in memory, and of the channels that it remembers beside them."""
HASHES = 4 * 19_456 * 1024
"""Bytes of passwords that are being hashed, and of blocks that were not given back."""
SORTS = 2 * 64 * 1024 * 1024
"""Twice the sequencer's work_mem: a sort, and what it keeps of a window. A restore's is half of it."""


class Weight(NamedTuple):
    """A log, all of them together: entries, bytes of their payloads, and the longest one."""

    entries: int
    payloads: int
    longest: int


class Growth:
    """Watches one process after the other in the same role: `peak` and `grown` are the most of any, in MB."""

    def __init__(self) -> None:
        self.peak = 0.0
        self.grown = 0.0
        self._pid = 0
        self._since = 0.0
        self._base: float | None = None

    def look(self, pid: int) -> None:
        """It is that process now."""
        now = resident(pid)
        if pid != self._pid:
            self._pid, self._since, self._base = pid, time.monotonic(), None
        self.peak = max(self.peak, now)
        if self._base is not None:
            self.grown = max(self.grown, now - self._base)
        elif now and time.monotonic() - self._since > SETTLED:
            self._base = now

    def found(self, held: float) -> None:
        """One of them holds so much, which all counts: they come and go too fast for each to be watched."""
        self.peak = self.grown = max(self.grown, held)


def may_grow(role: str, log: Weight, sockets: int) -> float:
    """MB that a process in that role may take beyond what it had when it was up; `sockets` are those of one notify."""
    match role:
        case "notify":  # twice: at a change of epoch the old ring goes when the new one is there
            held = 2 * _kept(log, RING) + sockets * SOCKET
        case "feed":
            held = GUESTS + HASHES
        case "sequencer":
            held = 3 * min(PAGE * log.longest, log.payloads) + PAGE * ENTRY
        case "redis":
            held = 2 * _kept(log, STREAM)
        case "backend":
            held = SORTS
        case _:
            held = 0
    return SLACK + held / MB


def _kept(log: Weight, most: int) -> float:
    """Bytes of the newest entries, if no more than `most` are kept."""
    return min(1.0, most / max(log.entries, 1)) * (log.entries * ENTRY + log.payloads)


def largest_child(pid: int) -> float:
    """What the largest child of a process holds for itself, in MB: of Postgres's backends without shared buffers."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return max(map(_private, children), default=0.0)


def _private(pid: str) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return 0.0
    found = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 / MB if found else 0.0


def resident(pid: int) -> float:
    """A process's memory in MB; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MB
