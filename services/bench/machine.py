"""What this machine is, what its processes cost, and how many sockets it lets us open.

Reads /proc where there is one; elsewhere costs are None, and the table says "not known".
"""

import os
import platform
import resource
from collections.abc import Mapping
from pathlib import Path

WANTED_FILES = 16_384
"""Sockets of the largest row (5,000 clients, both ends in different processes) with room to spare."""

_TICKS = os.sysconf("SC_CLK_TCK")


def raise_open_files() -> str | None:
    """The open-file limit is WANTED_FILES or more, for this process and its children; else a sentence that says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED_FILES:
        return None
    for limits in ((WANTED_FILES, max(hard, WANTED_FILES)), (min(WANTED_FILES, hard), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (ValueError, OSError):
            continue
        break
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= WANTED_FILES:
        return None
    return f"The open-file limit stays at {soft} (hard {hard}): what wants more sockets has fewer."


def open_files() -> int:
    """How many files one process may hold."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def name() -> str:
    """The machine in a line: processor, cores, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}"
    return f"{_processor()}, {_cores()} cores, {memory:.1f} GiB, {system}, Python {platform.python_version()}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def resident_kb(pid: int) -> int | None:
    """Resident memory of one process in KiB; None when it is gone or the system doesn't tell."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def cpu_seconds(pid: int) -> float | None:
    """CPU that a process, its living children and its ended ones have used; Postgres works in children."""
    own = _ticks(pid)
    if own is None:
        return None
    return (own + sum(_ticks(child) or 0 for child in _children(pid))) / _TICKS


def _ticks(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return sum(int(field) for field in fields[11:15])  # utime, stime, and those of children that were waited for


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class CpuMeter:
    """CPU of named processes between `start` and `shares`."""

    def __init__(self, pids: Mapping[str, int | None]) -> None:
        self._pids = {name: pid for name, pid in pids.items() if pid is not None}
        self._before: dict[str, float | None] = {}

    def start(self) -> None:
        """Count from now on."""
        self._before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def shares(self, seconds: float) -> dict[str, float]:
        """Percent of one core that each process used over these seconds; those unknown are left out."""
        shares = {}
        for process, pid in self._pids.items():
            before, after = self._before.get(process), cpu_seconds(pid)
            if before is not None and after is not None and seconds > 0:
                shares[process] = 100 * (after - before) / seconds
        return shares
