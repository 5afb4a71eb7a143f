"""The wall clock of a process may be moved, in tests, an hour either way; nothing else is."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared import auth, clock, ids
from shared.errors import NotSignedIn

ROOT = Path(__file__).parents[2]
HOUR = 3600.0
_TELL = """
import asyncio, sys, uvloop
from shared import clock
async def tell():
    clock.configure(float(sys.argv[1]), sys.argv[2])
    first = clock.unix()
    print(first, flush=True)
    while clock.unix() >= first:
        await asyncio.sleep(0.01)
    print(clock.unix(), flush=True)
uvloop.run(tell())
"""


@pytest.fixture(autouse=True)
def _right_again() -> Iterator[None]:
    yield
    clock.move(0)


def away(said: str) -> float:
    """How far a process's clock is from ours, to the nearest minute."""
    return round((float(said) - clock.unix()) / 60) * 60


def test_the_wall_clock_moves_and_the_monotonic_one_does_not() -> None:
    before = clock.monotonic()
    clock.move(HOUR)
    assert clock.now() - datetime.now(UTC) > timedelta(minutes=59)
    clock.move(-HOUR)
    assert datetime.now(UTC) - clock.now() > timedelta(minutes=59)
    assert clock.monotonic() - before < HOUR


def test_ids_of_a_process_grow_while_its_clock_steps_back() -> None:
    clock.move(HOUR)
    late = ids.new_id()
    clock.move(-HOUR)
    assert ids.new_id() > late


def test_credentials_end_by_the_clock_of_the_process() -> None:
    token = auth.issue("s" * 32, "access", account_id=1, session_id=2, ttl=60)
    assert auth.verify("s" * 32, token, kinds=("access",)).account_id == 1
    clock.move(HOUR)
    with pytest.raises(NotSignedIn):
        auth.verify("s" * 32, token, kinds=("access",))
    later = auth.issue("s" * 32, "access", account_id=1, session_id=2, ttl=60)
    clock.move(0)
    assert auth.verify("s" * 32, later, kinds=("access",)).account_id == 1


def test_a_running_process_takes_another_offset_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "offset"
    file.write_text(str(-HOUR))
    command = [sys.executable, "-c", _TELL, str(HOUR), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert away(process.stdout.readline()) == HOUR
        process.send_signal(signal.SIGUSR2)
        assert away(process.stdout.readline()) == -HOUR
    assert process.returncode == 0
