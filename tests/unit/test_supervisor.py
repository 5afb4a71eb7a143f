"""The supervisor with small real processes: it restarts what dies, and leaves nothing when it stops."""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from services.embedded import Redis, gone, started_at
from services.supervisor import Failed, Supervisor
from tests.servers import server_folder

ENV = dict(os.environ)


class Heard:
    """What was said, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append(f"{name}: {line}")
        self._more.set()

    async def until(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        async with asyncio.timeout(20):
            while True:
                self._more.clear()
                found = [match for line in self.lines if (match := re.search(pattern, line))]
                if len(found) >= count:
                    return found
                await self._more.wait()


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


STAY = "import os, time; print('pid', os.getpid()); time.sleep(600)"
STUBBORN = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('pid', os.getpid()); time.sleep(600)"
)


async def test_what_dies_is_started_again() -> None:
    heard = Heard()
    supervisor = Supervisor(heard)
    supervisor.keep("one", python(STAY), ENV)
    try:
        first = int((await heard.until(r"pid (\d+)"))[0][1])
        os.kill(first, signal.SIGKILL)
        second = int((await heard.until(r"pid (\d+)", 2))[1][1])
        assert second != first
        assert "one: ended by SIGKILL; starting it again in 0.5 s" in heard.lines
        assert supervisor.processes()["one"]["pid"] == second
    finally:
        await supervisor.stop(0)


async def test_stopping_ends_the_stubborn_too_and_in_time() -> None:
    heard = Heard()
    supervisor = Supervisor(heard)
    supervisor.keep("polite", python(STAY), ENV)
    supervisor.keep("stubborn", python(STUBBORN), ENV)
    pids = [int(match[1]) for match in await heard.until(r"pid (\d+)", 2)]
    known = {pid: started_at(pid) or "" for pid in pids}
    begin = time.monotonic()
    await supervisor.stop(0)
    assert time.monotonic() - begin < 5
    assert all(gone(pid, identity, 0) for pid, identity in known.items())
    assert supervisor.processes() == {}
    await supervisor.stop(0)


async def test_invalid_settings_are_not_tried_again() -> None:
    heard = Heard()
    supervisor = Supervisor(heard)
    keeper = supervisor.keep("one", python("raise SystemExit(2)"), ENV)
    with pytest.raises(Failed, match="one ended with code 2"):
        await keeper
    await supervisor.stop(0)


async def test_what_ends_because_something_else_is_away_is_tried_again() -> None:
    heard = Heard()
    supervisor = Supervisor(heard)
    supervisor.keep("feed", python("raise SystemExit(4)"), ENV)
    await heard.until("feed: ended with code 4; starting it again in 0.5 s")
    await heard.until("feed: ended with code 4; starting it again in 1 s")
    await supervisor.stop(0)


async def test_a_one_shot_command_gives_its_lines_and_its_complaints_are_said() -> None:
    heard = Heard()
    supervisor = Supervisor(heard)
    assert await supervisor.run("add", python("print(1 + 1)"), ENV) == ["2"]
    with pytest.raises(Failed, match="with code 7"):
        await supervisor.run("fail", python("import sys; print('no'); print('why', file=sys.stderr); sys.exit(7)"), ENV)
    assert heard.lines == ["fail: why"]


async def test_a_line_without_end_is_dropped_and_the_next_one_heard() -> None:
    heard = Heard()
    supervisor = Supervisor(heard)
    lines = await supervisor.run("long", python("print('x' * 3_000_000); print('next')"), ENV)
    assert lines[-1] == "next"


async def test_a_server_that_dies_runs_again_at_its_address() -> None:
    heard = Heard()
    supervisor = Supervisor(heard)
    with server_folder() as folder:
        server = Redis(Path(folder) / "redis")
        await supervisor.serve("redis", server)
        try:
            first = server.pid
            server.send(signal.SIGKILL)
            await heard.until("redis: runs again")
            assert server.running
            assert server.pid != first
        finally:
            await supervisor.stop(0)
        assert not server.running
