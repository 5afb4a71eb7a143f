"""One process of Chorus under torture: started, killed, armed with fault points, watched for deaths nobody ordered.

It may be started again while Postgres is away: it says so with its exit code, as under any supervisor, and is retried.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.embedded import Child
from services.torture.http import Http, Unreached
from services.torture.memory import Growth

PATIENCE = 120.0
"""Seconds until a process must be ready; it takes about two on an idle machine."""
UNAVAILABLE = 4
"""The exit code of a process that found no database."""


class Died(Exception):
    """A process ended by itself while it was waited for."""


class Service:
    """`deaths` are those that nobody ordered, in words; `memory` is what it was seen with over all its lives."""

    def __init__(self, name: str, command: str, env: Mapping[str, str], folder: Path, port: int) -> None:
        self.name = name
        self.command = command
        self.port = port
        self.log = folder / f"{name}.log"
        self.faults_log = folder / f"{name}.faults"
        self.clock = folder / f"{name}.clock"
        self.deaths: list[str] = []
        self.memory = Growth()
        self.starts = 0
        self._env = {
            **env,
            "CHORUS_CLOCK_FILE": str(self.clock),
            "CHORUS_FAULTS_LOG": str(self.faults_log),
        }
        self._arms = ""
        self._child: Child | None = None
        self._ordered = True
        self.set_clock(0)

    @property
    def pid(self) -> int:
        """Of the present process, or the last one."""
        assert self._child is not None  # noqa: S101 - started before anybody asks
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it lives (stopped counts)."""
        return self._child is not None and self._child.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """Of the last process; None while it runs."""
        return None if self._child is None else self._child.exit_code

    def set_clock(self, seconds: int) -> None:
        """Its wall clock is so far off from now on, or from its start on."""
        new = self.clock.with_suffix(".new")  # who starts meanwhile reads the one or the other, never half of it
        new.write_text(str(seconds), encoding="ascii")
        new.replace(self.clock)
        self.signal(signal.SIGUSR2)

    def launch(self, *, arms: str = "") -> None:
        """It runs; not ready yet. `arms` are fault points for this one life. Call it from the main thread."""
        self._arms, self._ordered = arms, bool(arms)
        env = self._env | ({"CHORUS_FAULTS": arms} if arms else {})
        # Ignored until it listens, which children inherit: news of the clock killed who was just starting (seed c1). It
        # reads them once more when it listens: who was told before that lived at another time for ever (seed c2).
        before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        try:
            with self.log.open("ab") as log:
                self._child = Child([sys.executable, "-m", "services.cli", self.command], output=log, env=env)
        finally:
            signal.signal(signal.SIGUSR2, before)
        self.starts += 1

    async def ready(self, http: Http | None) -> None:
        """Returns when /readyz answers 200. Raises Died, or TimeoutError, with the end of its log."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while http is not None:
            try:
                if (await http.call("GET", "/readyz", timeout=3)).status == 200:
                    return
            except Unreached:
                pass
            # Who dies as ordered is started again by whoever ordered it, in the same round as we wait.
            if not self.running and self.exit_code != UNAVAILABLE and not self._ordered:
                raise Died(f"{self.name} ended with {self.exit_code}:\n{self.tail()}")
            if loop.time() > deadline:
                raise TimeoutError(f"{self.name} is not ready after {PATIENCE:g} s:\n{self.tail()}")
            await asyncio.sleep(0.05)

    async def kill(self) -> bool:
        """Ended without a word. True when it lived, and SIGKILL is what ended it."""
        self._ordered = True  # also of one that has just ended: nobody starts it again meanwhile
        if self._child is None or self._child.exit_code is not None:
            return False
        self._child.send(signal.SIGKILL)
        await self.ended()
        return self._child.exit_code == -signal.SIGKILL

    async def leave(self) -> int:
        """Asked to leave: its exit code."""
        self.signal(signal.SIGTERM)
        self._ordered = True
        return await self.ended()

    async def ended(self) -> int:
        """Its exit code, once it has ended. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while (code := self.exit_code) is None:  # noqa: ASYNC110 - a child of the launcher: polled, like its kind
                await asyncio.sleep(0.02)
        return code

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self._child is not None:
            self._child.send(number)

    def end(self) -> None:
        """It runs no more; politely for a second. Twice is safe."""
        self._ordered = True
        if self._child is not None:
            self._child.end((signal.SIGTERM, 3))

    def look(self) -> bool:
        """Notes what happened meanwhile; True when it has to be started again."""
        if self._child is None:
            return False
        code = self._child.exit_code
        if code is None:
            self.memory.look(self._child.pid)
            return False
        if self._ordered:
            return False
        if code != UNAVAILABLE:
            self.deaths.append(f"{self.name} ended with {code}:\n{self.tail()}")
        return True

    def fired(self) -> list[dict[str, Any]]:
        """What its fault points did, over all its lives."""
        if not self.faults_log.exists():
            return []
        return [json.loads(line) for line in self.faults_log.read_text().splitlines()]

    def said(self, event: str, since: int = 0) -> int:
        """How often this stands in its log as an event, from that byte on."""
        return self._written()[since:].count(f'"event":"{event}"'.encode()) + self._written()[since:].count(
            f'"event": "{event}"'.encode()
        )

    def log_size(self) -> int:
        """Bytes written to its log."""
        return self.log.stat().st_size if self.log.exists() else 0

    def tail(self, size: int = 2500) -> str:
        """The end of its log."""
        return self._written()[-size:].decode(errors="replace")

    def said_of(self, request_id: str) -> list[str]:
        """The lines of its log about one request."""
        about = request_id.encode()
        return [line.decode(errors="replace") for line in self._written().splitlines() if about in line]

    def _written(self) -> bytes:
        return self.log.read_bytes() if self.log.exists() else b""


def stopped(pid: int) -> bool:
    """Whether the process stands still by a signal."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except (OSError, IndexError):
        return False
