"""The bench works end to end: tiny runs, a table, and generators that notice what goes wrong. No figure is asserted."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve

from services.bench.figures import Criterion, Figure, Scale
from services.bench.rows import ROWS
from services.bench.statements import parsed
from services.bench.tools import Readers, ToolFailed, Tools
from services.commands.bench import command

Script = list[dict[str, Any]]
WINDOW = (0, 2**62)


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    """`chorus bench` as a process of its own."""
    line = [sys.executable, "-m", "services.cli", "bench", "--quick", "--runs", "1", *options]
    return subprocess.run(line, capture_output=True, text=True, timeout=90, check=False, env=dict(os.environ))


def test_a_quick_run_prints_its_row_with_target_and_figure() -> None:
    done = bench("--rows", "hot-50")
    assert done.returncode == 0, done.stderr
    assert "hot channel, 100 sockets" in " ".join(done.stdout.split())
    assert "raw write to 1,000 sockets" in done.stdout
    assert "0 gaps, 0 repeats, 0 sockets closed" in done.stdout, done.stderr


def test_every_row_of_section_9_has_a_name_and_an_unknown_one_is_refused() -> None:
    listed = CliRunner().invoke(command, ["--rows", "list"], standalone_mode=False)
    assert listed.output.split() == list(ROWS)
    refused = CliRunner().invoke(command, ["--rows", "hot-51"])
    assert refused.exit_code == 2
    assert "hot-51" in refused.output


def test_a_target_scales_with_the_machine_and_a_missing_figure_is_not_reached() -> None:
    slow = Scale(raw_ms=17.2)
    assert slow.less("p50", 10, 19.9).reached
    assert not slow.less("p50", 10, 20.1).reached
    assert slow.more("rate", 1000, 500).reached
    assert not slow.more("rate", 1000, None).reached
    fast = Scale(raw_ms=4.3)
    assert not fast.less("p50", 10, 9.9).reached
    assert fast.less("p50", 10, 10).stated_ratio == 1
    assert not fast.more("rate", 1000, 1001).reached
    assert fast.more("rate", 1000, 1000).stated_ratio == 1
    none_allowed = Criterion(name="reads", unit="", better="less", target=0, ours=0.0)
    assert none_allowed.reached
    assert not Figure(row="x", title="x", criteria=(none_allowed,), reason="it lost events").reached


def test_statements_are_read_from_the_log_with_their_parameters() -> None:
    log = (
        "2026-01-01 10:00:00.000 UTC [7] chorus_feed@chorus LOG:  execute s1: select $1,\n\t$2, $3\n"
        "2026-01-01 10:00:00.000 UTC [8] chorus_notify@chorus LOG:  statement: BEGIN;\n"
        "2026-01-01 10:00:00.001 UTC [7] chorus_feed@chorus DETAIL:  Parameters: "
        "$1 = 'it''s\n\ttwo', $2 = NULL, $3 = ''\n"
    )
    first, second = parsed(log)
    assert first == (7, "chorus_feed", "select $1,\n$2, $3", ("it's\ntwo", None, ""))
    assert (second.pid, second.sql, second.parameters) == (8, "BEGIN;", ())


WAYS = ["stand-in", *(["compiled"] if any(map(shutil.which, ("cc", "gcc", "clang"))) else [])]


@pytest.fixture(scope="module", params=WAYS)
def tools(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The generators, both ways."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stand-in":
            patch.setenv("PATH", "/nonexistent")
        made = Tools(tmp_path_factory.mktemp("generators"))
    assert made.compiled == (request.param == "compiled"), made.warning
    return made


@asynccontextmanager
async def gateway(says: Callable[[], Script], code: int = 1000) -> AsyncIterator[int]:
    """A server that says the script after the hello, then waits; yields its port."""

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        for frame in says():
            if frame["type"] == "close":
                await socket.close(code)
                return
            await socket.send(json.dumps(frame, separators=(",", ":")))
        await socket.wait_closed()

    async with serve(talk, "127.0.0.1", 0, subprotocols=["chorus.v1"], compression=None) as server:  # type: ignore[list-item]
        yield server.sockets[0].getsockname()[1]


def event(prev: int, seq: int) -> dict[str, Any]:
    payload = {"type": "bench.tick", "id": "1", "at": "now", "t": time.time_ns() // 1000, "pad": "x" * 900}
    return {"type": "event", "channel": "topic:b", "log": 0, "prev": prev, "seq": seq, "event": payload}


SUBSCRIBED = {"type": "subscribed", "id": 1, "channel": "topic:b", "as_of": {"epoch": 7, "seq": [3]}}
HELLO = b'{"type":"hello","id":1,"subscribe":[{"channel":"topic:b"}]}'


async def read(tools: Tools, port: int, sockets: int, events: int) -> dict[str, Any]:
    """What a reader reports once it has seen that many events in all."""

    def go() -> dict[str, Any]:
        readers = Readers(tools, port, sockets, [HELLO], "together")
        try:
            deadline = time.monotonic() + 10
            while (report := readers.report())["events"] < events and time.monotonic() < deadline:
                pass
            return report
        finally:
            readers.end()

    return await asyncio.to_thread(go)


async def test_the_reader_counts_deliveries_gaps_and_repeats(tools: Tools) -> None:
    whole = [SUBSCRIBED, *(event(seq - 1, seq) for seq in range(4, 104))]
    broken = [*whole, event(103, 103), event(110, 111)]
    async with gateway(lambda: broken) as port:
        report = await read(tools, port, 3, 3 * 102)
    assert (report["events"], report["delivered"]) == (306, 303)
    assert (report["gaps"], report["repeats"], report["unstamped"], report["errors"]) == (3, 3, 0, 0)
    assert 0 < report["p50_ms"] <= report["p99_ms"] <= report["max_ms"] + 10


async def test_sockets_that_are_closed_are_named_by_code(tools: Tools) -> None:
    async with gateway(lambda: [{"type": "close"}], 4008) as port:
        with pytest.raises(ToolFailed, match=r"0 of 2 sockets are live.*4008"):
            await read(tools, port, 2, 1)


async def test_the_load_generator_counts_answers_by_status(tools: Tools, tmp_path: Path) -> None:
    async def answer(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        while head := await incoming.readuntil(b"\r\n\r\n"):
            status = b"304 Not Modified\r\n" if b"If-None-Match" in head else b"200 OK\r\nContent-Length: 5\r\n"
            body = b"" if b"If-None-Match" in head else b"hello"
            outgoing.write(b"HTTP/1.1 " + status + b"\r\n" + body)

    async def forgiving(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        try:
            await answer(incoming, outgoing)
        except (asyncio.IncompleteReadError, ConnectionError):
            outgoing.close()

    file = tmp_path / "requests"
    file.write_bytes(b"GET /a HTTP/1.1\r\n\r\n\0GET /b HTTP/1.1\r\nIf-None-Match: x\r\n\r\n")
    async with await asyncio.start_server(forgiving, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        report = await asyncio.to_thread(tools.run, "load", port, 4, 0.5, str(file), timeout=20)
    assert set(report["status"]) == {"200", "304"}
    assert sum(report["status"].values()) == report["answers"] > 0
    assert report["broken"] == 0
