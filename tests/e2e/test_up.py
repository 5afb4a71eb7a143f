"""`chorus up` as a person starts it: real processes in a data folder of its own, and nothing left behind."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.bench.stack import free_port
from services.embedded import Account, Child, gone, started_at
from shared.listening import is_free
from tests.e2e.elsewhere import HERE, Place, reachable
from tests.servers import at_once, server_folder

PATIENCE = 60
"""Seconds for a first start: initdb, migration and three processes, beside whatever else this machine does."""
STOP = 5.0
ORDINARY = Account("65534", 65534, 65534) if os.geteuid() == 0 else None
"""Who is not root: the account that owns nothing, or, when we are nobody special ourselves, we."""


class Run:
    """One `chorus up --empty` in a session of its own, as a terminal would have it."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        account: Account | None = None,
        place: Place = HERE,
    ) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
        clean |= {"HOME": str(folder), **place.env}
        self.data = folder / "data"
        self.log = folder / "up.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(place.python), "-m", "services.cli", "up", "--empty"],
                env={**clean, "CHORUS_DATA_DIR": str(self.data), **(settings or {})},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )

    def said(self) -> str:
        return self.log.read_text()

    def wait_up(self) -> dict[str, Any]:
        """What run.json says once the banner is out."""
        deadline = time.monotonic() + PATIENCE
        while "Chorus is up." not in self.said():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        return self.run()

    def run(self) -> dict[str, Any]:
        run: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return run

    def ended(self, timeout: float = PATIENCE) -> int:
        """Its exit code; it must have ended within `timeout` seconds."""
        return self.process.wait(timeout)

    def interrupt(self) -> None:
        """Ctrl-C: the terminal sends it to everybody in the group."""
        os.killpg(self.process.pid, signal.SIGINT)


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder("/tmp") as folder:  # where data folders are: on a disk, which programs can be hard-linked on
        yield folder


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """Runs to end, whatever the test did."""
    started: list[Run] = []
    yield started
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def free_pair() -> dict[str, str]:
    return {"CHORUS_FEED_PORT": str(free_port()), "CHORUS_NOTIFY_PORT": str(free_port())}


def nothing_left(processes: dict[str, dict[str, Any]], within: float) -> list[str]:
    """Names of the processes that still live after so many seconds."""
    deadline = time.monotonic() + within
    return [
        name
        for name, process in processes.items()
        if not gone(process["pid"], process["started"], max(0, deadline - time.monotonic()))
    ]


def test_up_restarts_what_dies_refuses_a_second_stops_in_time_and_keeps_the_data(folder: Path, runs: list[Run]) -> None:
    first = Run(folder, free_pair())
    runs.append(first)
    told = first.wait_up()
    assert set(told["processes"]) == {"chorus", "postgres", "redis", "sequencer", "feed", "notify"}
    for name in ("feed_url", "notify_url"):
        assert httpx.get(f"{told[name]}/readyz").status_code == 200
    assert told["page_url"] in first.said()

    second = Run(folder, free_pair())
    runs.append(second)
    assert second.ended() == 4
    assert f"already runs on {first.data} (process {told['pid']}" in second.said()

    killed = told["processes"]["notify"]["pid"]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while (now := first.run()["processes"].get("notify", {}).get("pid")) in (killed, None):
        assert time.monotonic() < deadline, first.said()
        time.sleep(0.05)
    assert now != killed

    at_once(_execute(first.run()["settings"]["CHORUS_DIRECT_DATABASE_URL"], "CREATE TABLE kept AS SELECT 7 AS n"))
    key = (first.data / "secret_key").read_text()
    processes = first.run()["processes"]
    begin = time.monotonic()
    first.interrupt()
    assert first.ended(STOP * 2) == 130
    assert time.monotonic() - begin < STOP, first.said()
    assert nothing_left(processes, 0) == []
    assert not (first.data / "run.json").exists()
    assert "Traceback" not in first.said()

    first.log.unlink()
    again = Run(folder, free_pair())
    runs.append(again)
    url = again.wait_up()["settings"]["CHORUS_DIRECT_DATABASE_URL"]
    assert at_once(_execute(url, "SELECT n FROM kept")) == 7
    assert (again.data / "secret_key").read_text() == key
    again.process.terminate()
    assert again.ended(STOP) == 0


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_start_is_clean(
    folder: Path, runs: list[Run]
) -> None:
    first = Run(folder, free_pair())
    runs.append(first)
    processes = first.wait_up()["processes"]
    first.process.kill()
    first.process.wait()
    assert nothing_left(processes, 10) == []
    first.log.unlink()
    again = Run(folder, free_pair())
    runs.append(again)
    again.wait_up()
    again.interrupt()
    assert again.ended(STOP) == 130


def test_a_port_that_was_given_and_is_taken_ends_it_with_a_sentence(folder: Path, runs: list[Run]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = Run(folder, {"CHORUS_FEED_PORT": str(port)})
        runs.append(run)
        assert run.ended() == 4
        assert f"Port {port} on 127.0.0.1 can't be had: it is taken, and CHORUS_FEED_PORT asks for it." in run.said()


def test_ports_that_were_not_given_move_on_together(folder: Path, runs: list[Run]) -> None:
    with socket.socket() as taken:
        if is_free("127.0.0.1", 8001):
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", 8001))
            taken.listen()
        run = Run(folder)
        runs.append(run)
        told = run.wait_up()
        assert told["feed_port"] % 2 == 0
        assert (told["feed_port"] > 8000, told["notify_port"]) == (True, told["feed_port"] + 1)
        assert "ports 8000 and 8001 are not both free; taking" in run.said()
        run.interrupt()
        assert run.ended(STOP) == 130


def test_every_bad_setting_is_named_at_once(folder: Path, runs: list[Run]) -> None:
    run = Run(folder, {"CHORUS_FEED_PORT": "many", "CHORUS_DRAIN": "-1", "CHORUS_SECRET_KEY": "short"})
    runs.append(run)
    assert run.ended() == 2
    for name in ("CHORUS_FEED_PORT", "CHORUS_DRAIN", "CHORUS_SECRET_KEY"):
        assert name in run.said()
    assert not run.data.exists()


def test_an_ordinary_user_can_run_it_and_nothing_outside_its_folder_changes(folder: Path, runs: list[Run]) -> None:
    place = reachable(ORDINARY, folder) if ORDINARY else HERE
    own = folder / "own"
    own.mkdir()
    if ORDINARY:
        os.chown(own, ORDINARY.uid, ORDINARY.gid)
    outside = [*HERE.python.resolve().parents, *HERE.python.parents, *place.python.parents, *Path(__file__).parents]
    before = _owners_and_modes({*outside, *own.parents, Path("/etc/passwd")})

    first = Run(own, free_pair(), account=ORDINARY, place=place)
    runs.append(first)
    told = first.wait_up()
    processes = told["processes"]
    uids = {Path(f"/proc/{process['pid']}").stat().st_uid for process in processes.values()}
    assert uids == {ORDINARY.uid if ORDINARY else os.geteuid()}
    someone = {"handle": "robin", "display_name": "Robin", "password": "a kettle and a lamp"}
    assert httpx.post(f"{told['feed_url']}/v1/accounts", json=someone).status_code == 201
    first.interrupt()
    assert first.ended(STOP) == 130
    assert nothing_left(processes, 0) == []

    first.log.unlink()
    again = Run(own, free_pair(), account=ORDINARY, place=place)
    runs.append(again)
    told = again.wait_up()
    del someone["display_name"]
    assert httpx.post(f"{told['feed_url']}/v1/sessions", json=someone).status_code == 201
    again.interrupt()
    assert again.ended(STOP) == 130
    assert nothing_left(told["processes"], 0) == []
    assert _living_in(own) == []
    assert sorted(path.name for path in own.iterdir()) == ["data", "up.log"]
    assert _owners_and_modes(before) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has servers under another account")
def test_a_data_folder_closed_to_the_servers_moves_only_the_servers(
    tmp_path: Path, runs: list[Run], folder: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    run = Run(closed, free_pair())
    runs.append(run)
    run.wait_up()
    apart = Path("/var/lib/chorus") / (run.data / "install_id").read_text()
    try:
        assert f"database folder {apart}" in run.said()
        assert "can't enter" in run.said()
        assert closed.stat().st_mode & 0o777 == 0o700
        run.interrupt()
        assert run.ended(STOP) == 130
    finally:
        shutil.rmtree(apart, ignore_errors=True)


def test_a_child_whose_parent_is_gone_already_never_starts() -> None:
    marker = free_port()
    orphan = (
        "import sys; from services.embedded import leashed; import subprocess; "
        f"line = leashed([sys.executable, '-c', 'import time; time.sleep({marker})']); "
        "line[5] = '1'; sys.exit(subprocess.run(line).returncode)"
    )
    child = Child([sys.executable, "-c", orphan], env={**os.environ, **HERE.env})
    identity = started_at(child.pid)
    assert identity is not None
    assert child.wait(20)
    assert child.exit_code == 1


async def _execute(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _owners_and_modes(paths: Iterable[Path]) -> dict[Path, tuple[int, int, int]]:
    return {path: (found.st_mode, found.st_uid, found.st_gid) for path in paths if (found := path.stat())}


def _living_in(folder: Path) -> list[str]:
    """Processes that work in the folder, or were told of it: also those that nobody wrote down."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes().decode(errors="replace")
            if str(folder) in line or (process / "cwd").resolve().is_relative_to(folder):
                found.append(f"{process.name} {line}")
    return found
