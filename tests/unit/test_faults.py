"""Fault points: inert unless told, refused when misspelt, and proven to have fired, also by a process they killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.feed.settings import FeedSettings
from shared import faults
from shared.settings import SettingsError, load

ROOT = Path(__file__).parents[2]
_PASS = """
import asyncio, sys
from shared import faults
faults.configure(sys.argv[1].split(","), sys.argv[2])
async def work():
    for n in range(1, 5):
        await faults.reached("sequencer:numbered", 0)
        faults.passed("feed:committed")
        print(n, file=sys.stderr, flush=True)
asyncio.run(work())
"""


@pytest.fixture(autouse=True)
def _inert_again() -> Iterator[None]:
    yield
    faults.hold(None)


def fired(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def passing(specs: str, log: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _PASS, specs, str(log)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


async def test_nothing_happens_at_a_point_unless_somebody_asked() -> None:
    faults.configure([], "")
    for name in faults.NAMES:
        await faults.reached(name, 0)
        faults.passed(name)


def test_a_process_is_killed_at_its_third_arrival_and_has_said_so(tmp_path: Path) -> None:
    log = tmp_path / "fired"
    with passing("sequencer:numbered=kill@3,notifier:moved=kill", log) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert said.split() == ["1", "2"]
    [line] = fired(log)
    assert (line["point"], line["action"], line["arrival"], line["pid"]) == (
        "sequencer:numbered",
        "kill",
        3,
        process.pid,
    )


def test_a_process_that_is_stopped_goes_on_when_it_is_continued(tmp_path: Path) -> None:
    with passing("feed:committed=stop@2", tmp_path / "fired") as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        [line] = fired(tmp_path / "fired")
        assert line["point"] == "feed:committed"
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert said.split() == ["1", "2", "3", "4"]


async def test_raising_and_waiting_happen_where_they_were_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "fired"
    specs = ["notifier:moved=raise@2+", "sequencer:publishing=sleep:0.001", "recovery:between_pieces=stall:0.001"]
    faults.configure(specs, str(log))
    await faults.reached("notifier:moved")
    for _ in range(2):
        with pytest.raises(faults.Injected):
            await faults.reached("notifier:moved")
    await faults.reached("sequencer:publishing", 7)
    faults.passed("recovery:between_pieces")
    assert [(line["point"], line["arrival"], line["log"]) for line in fired(log)] == [
        ("notifier:moved", 2, None),
        ("notifier:moved", 3, None),
        ("sequencer:publishing", 1, 7),
        ("recovery:between_pieces", 1, None),
    ]


@pytest.mark.parametrize(
    "spec",
    [
        "sequencer:nowhere=kill",
        "sequencer:numbered",
        "sequencer:numbered=explode",
        "sequencer:numbered=sleep",
        "sequencer:numbered=kill:3",
        "sequencer:numbered=kill@soon",
        "feed:committed=sleep:1",
    ],
)
def test_what_no_point_or_action_is_called_is_refused_with_the_setting_and_its_reason(spec: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(FeedSettings, {"CHORUS_FAULTS": spec, "CHORUS_LOGS": "0"})
    [logs, told] = caught.value.faults
    assert "CHORUS_LOGS" in logs
    assert told.startswith("CHORUS_FAULTS: ")


async def test_a_test_may_hold_a_process_of_its_own_at_a_point() -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        arrived.set()
        await release.wait()

    faults.hold(lambda name, _log: wait() if name == "notifier:taken" else None)
    await faults.reached("notifier:locked")
    held = asyncio.create_task(faults.reached("notifier:taken"))
    await arrived.wait()
    assert not held.done()
    release.set()
    await held


def test_every_point_is_passed_somewhere() -> None:
    code = "".join(path.read_text() for top in ("shared", "services") for path in (ROOT / top).rglob("*.py"))
    assert not [name for name in faults.NAMES if f'reached("{name}"' not in code and f'passed("{name}"' not in code]
