"""The wall clock of a process may be moved, in tests, an hour either way; nothing else is."""

import ast
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.feed.memory import GuestPage, Memory
from services.feed.throttle import Throttle
from shared import auth, clock, ids
from shared.errors import NotSignedIn, TooMany
from shared.wire import AsOf
from tests.unit.test_house import modules

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


@pytest.mark.parametrize("from_the_start", [False, True], ids=["no-file-yet", "a-file"])
def test_a_process_takes_another_offset_from_its_file(tmp_path: Path, from_the_start: bool) -> None:
    """Also one that was there when it began: of news that came before it listened it would hear nothing (seed c2)."""
    file = tmp_path / "offset"
    if from_the_start:
        file.write_text(str(HOUR))
    command = [sys.executable, "-c", _TELL, str(0 if from_the_start else HOUR), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert away(process.stdout.readline()) == HOUR
        file.write_text(str(-HOUR))
        process.send_signal(signal.SIGUSR2)
        assert away(process.stdout.readline()) == -HOUR
    assert process.returncode == 0


def test_what_counts_spans_of_time_does_not_see_the_wall_clock_move() -> None:
    throttle, memory = Throttle(1, HOUR), Memory()
    memory.fresh = lambda: True
    memory.begin(1, [10])
    page = GuestPage(channel="topic:calm", etag=b"", headers=[], short_headers=[], body=b"")
    throttle.take("ada")
    assert memory.keep(("/", b""), page, AsOf(epoch=1, seq=[10]), memory.moment)
    for moved in (2 * HOUR, -2 * HOUR):
        clock.move(moved)
        with pytest.raises(TooMany):
            throttle.take("ada")
        assert memory.get(("/", b"")) is page


_TIMES = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "gmtime", "localtime"}
_MOMENTS = {"now", "utcnow", "today"}


def asks_for_the_time(source: str) -> list[str]:
    """Where code reads a clock by itself: time's functions, the moments of datetime and date, a loop's own time."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [alias.name for alias in node.names if alias.name in _TIMES]
        elif isinstance(node, ast.Attribute):
            of = ast.unparse(node.value)
            of_time, of_dates = of == "time" and node.attr in _TIMES, of.rpartition(".")[2] in ("datetime", "date")
            if of_time or (of_dates and node.attr in _MOMENTS) or (node.attr == "time" and "loop" in of):
                found.append(f"{of}.{node.attr}")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "from time import monotonic",
        "time.perf_counter()",
        "asked = time.time",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "asyncio.get_running_loop().time()",
        "self._loop.time()",
    ],
)
def test_the_reader_of_the_next_test_sees_who_asks_for_the_time(source: str) -> None:
    assert asks_for_the_time(source)
    assert not asks_for_the_time("clock.monotonic(); time.sleep(1); datetime.time(); clock.now(); loop.call_later")


def test_nobody_but_the_clock_asks_the_system_for_the_time() -> None:
    """So that a test can move a process's clock; what Postgres decides by its own is said in shared/clock.py."""
    wrong = {
        module: asks
        for module, path in modules().items()
        if not re.match(r"shared\.clock$|services\.(bench|torture)\b", module)
        and (asks := asks_for_the_time(path.read_text()))
    }
    assert not wrong, f"ask shared.clock: {wrong}"
