"""Processes that are kept running: started, started again when they die, stopped together within seconds.

Knows nothing of what they do. Children get no signal from the terminal (each has a session of its own): the order of
leaving is decided here. Everything runs on one loop in the main thread, which the leash of the children is bound to.
"""

import asyncio
import contextlib
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from services.embedded import EngineUnavailable, Server, leashed, started_at
from shared import clock

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
STEADY = 30.0
"""Seconds a process must have lived for its next death to count as the first again."""

POLITE = 1.3
"""Seconds beyond the drain that services get to leave before SIGKILL: the whole stop has five."""

SERVER_GRACE = 1.0
"""Seconds for Postgres to write its checkpoint; past that it leaves at once and recovers at the next start."""

LONGEST_LINE = 1 << 20

Say = Callable[[str, str], None]
"""Told (name, line): what a process printed, or what happened to it."""


class Failed(Exception):
    """A process ended when it should not have; `code` is what it ended with."""

    def __init__(self, name: str, code: int) -> None:
        self.code = code
        super().__init__(f"{name} ended {_ending(code)}.")


class Supervisor:
    """Runs one-shot commands, services and servers; `pids` is who lives now. `stop` ends them all."""

    def __init__(self, say: Say, changed: Callable[[], None] = lambda: None) -> None:
        self._say = say
        self._changed = changed
        self._children: dict[str, Process] = {}
        self._servers: dict[str, Server] = {}
        self._keepers: set[asyncio.Task[None]] = set()

    def processes(self) -> dict[str, dict[str, int | str | None]]:
        """Name to pid and identity of everything that runs."""
        pids = {name: child.pid for name, child in self._children.items()}
        pids |= {name: server.pid for name, server in self._servers.items() if server.pid}
        return {name: {"pid": pid, "started": started_at(pid)} for name, pid in pids.items()}

    async def run(self, name: str, command: list[str], env: Mapping[str, str]) -> list[str]:
        """The lines of a one-shot command's standard output; its standard error is said.

        Raises Failed when it ends with another code than 0.
        """
        lines: list[str] = []
        code = await self._live(name, command, env, lines.append)
        if code != 0:
            raise Failed(name, code)
        return lines

    def keep(self, name: str, command: list[str], env: Mapping[str, str]) -> asyncio.Task[None]:
        """The command runs, and again whenever it ends. The task ends, with Failed, only where trying can't help."""
        return self._keeper(self._keep(name, command, env))

    async def serve(self, name: str, server: Server, timeout: float = 120) -> None:
        """The embedded server is ready, and started again whenever it dies. Raises EngineUnavailable."""
        self._servers[name] = server
        await self._start_server(server, timeout)
        self._changed()
        self._keeper(self._guard(name, server))

    def send(self, number: int) -> None:
        """Every process, servers apart, gets the signal."""
        for child in list(self._children.values()):
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    async def stop(self, drain: float) -> None:
        """Everything has ended: services first, politely for `drain` and a little more; then the servers."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        children = list(self._children.values())
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        leaving = [asyncio.ensure_future(child.wait()) for child in children]
        if leaving:
            _, late = await asyncio.wait(leaving, timeout=drain + POLITE)
            for child in children if late else []:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            await asyncio.gather(*leaving)
        self._children.clear()
        for server in self._servers.values():
            server.send(signal.SIGINT)  # both at once: Redis takes it for SIGTERM
        for server in self._servers.values():
            server.stop(grace=SERVER_GRACE)
        self._servers.clear()

    def _keeper(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        keeper: asyncio.Task[None] = asyncio.ensure_future(work)
        self._keepers.add(keeper)
        return keeper

    async def _keep(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        pause = FIRST_PAUSE
        while True:
            born = clock.monotonic()
            code = await self._live(name, command, env, lambda line: self._say(name, line))
            if code in (2, 3):  # usage and invalid input: the next start would say the same
                raise Failed(name, code)
            pause = FIRST_PAUSE if clock.monotonic() - born > STEADY else pause
            self._say(name, f"ended {_ending(code)}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _live(self, name: str, command: list[str], env: Mapping[str, str], hear: Callable[[str], None]) -> int:
        """One life of a process: its exit code, after its last line. Cancelled: it lives on until `stop`."""
        child = await asyncio.create_subprocess_exec(
            *leashed(command),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=dict(env),
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        self._children[name] = child
        self._changed()
        assert child.stdout is not None and child.stderr is not None  # noqa: S101, PT018 - both were asked for
        hearing = asyncio.gather(_listen(child.stdout, hear), _listen(child.stderr, lambda line: self._say(name, line)))
        code = await child.wait()
        await hearing
        del self._children[name]
        return code

    async def _start_server(self, server: Server, timeout: float) -> None:
        server.launch()
        deadline = clock.monotonic() + timeout
        while not server.ready():
            if clock.monotonic() > deadline:
                raise EngineUnavailable(f"A server is not ready after {timeout:g} s; see {server.log}.")
            await asyncio.sleep(0.02)

    async def _guard(self, name: str, server: Server) -> None:
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(0.25)
            if server.running:
                continue
            self._say(name, "ended; starting it again")
            try:
                await self._start_server(server, 120)
            except EngineUnavailable as error:
                self._say(name, f"{error} Trying again in {pause:g} s.")
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self._say(name, "runs again")
                self._changed()
                pause = FIRST_PAUSE


async def _listen(stream: asyncio.StreamReader, hear: Callable[[str], None]) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than LONGEST_LINE: dropped, and the next one is heard
            continue
        if not line:
            return
        hear(line.decode(errors="replace").rstrip())


def _ending(code: int) -> str:
    if code >= 0:
        return f"with code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
