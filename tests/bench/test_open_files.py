"""The bench opens thousands of sockets: it raises the limit itself, and says so when it can't."""

import subprocess
import sys

_RAISES = """
import resource
from pathlib import Path
from services.bench import machine

resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
machine.WANTED_FILES = {wanted}
print(machine.raise_open_files())
print(machine.open_files())
"""


def raised(*, hard: str, wanted: str) -> list[str]:
    """What it says, and the limit then, in a process that may open 256 files."""
    script = _RAISES.format(hard=hard, wanted=wanted)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def test_the_limit_is_raised_within_what_the_system_allows() -> None:
    assert raised(hard="4096", wanted="3000") == ["None", "3000"]


def test_a_limit_that_can_not_be_raised_so_far_is_said_and_what_is_allowed_is_taken() -> None:
    said, limit = raised(hard="4096", wanted='2 * int(Path("/proc/sys/fs/nr_open").read_text())')
    assert said == "The open-file limit stays at 4096 (hard 4096): what wants more sockets has fewer."
    assert limit == "4096"
