"""Chorus as real processes for end-to-end tests: a sequencer, a feed, and as many notify processes as a test wants.

Each runs the `chorus` command with its output in a file, which a failing test shows.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from services.bench.stack import free_port
from services.embedded import Child
from tests.forks import Fork
from tests.servers import Database

SECRET = "a secret for tests alone, thirty-two long"
PATIENCE = 30.0
"""Seconds until a process must be ready; it takes about two on an idle machine."""


class Service:
    """One process of Chorus; it can be killed, started again on its port, and asked whether it is ready."""

    def __init__(self, name: str, command: str, env: Mapping[str, str], log: Path, url: str | None) -> None:
        self.name = name
        self.url = url or ""
        self.log = log
        self._command = [command]
        self._env = dict(env)
        self._child: Child | None = None

    @property
    def live_url(self) -> str:
        """Where a socket connects; for notify processes."""
        return f"{self.url.replace('http', 'ws', 1)}/v1/live"

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def start(self, *, wait: bool = True) -> None:
        """The process runs and, unless told not to wait, is ready. Call it from the main thread."""
        if self._env.get("PYTHONPATH") == os.environ.get("PYTHONPATH"):
            self._child = Fork(self._command, env=self._env, output=self.log)
        else:  # another release's code
            with self.log.open("ab") as log:
                self._child = Child([sys.executable, "-m", "services.cli", *self._command], output=log, env=self._env)
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout: float = PATIENCE) -> None:
        """Returns when /readyz answers 200; raises AssertionError with the log when it doesn't in time."""
        deadline = time.monotonic() + timeout
        while self.url:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            assert self.running, f"{self.name} ended by itself:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} is not ready after {timeout} s:\n{self.tail()}"
            time.sleep(0.05)

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self._child is not None
        self._child.send(number)

    def kill(self) -> None:
        """Ended without a word, as a crash would."""
        self.send(signal.SIGKILL)
        self.wait_ended(5)

    def wait_ended(self, timeout: float) -> int:
        """Its exit code; raises AssertionError when it still runs after `timeout` seconds."""
        assert self._child is not None
        assert self._child.wait(timeout), f"{self.name} still runs after {timeout} s:\n{self.tail()}"
        return self._child.exit_code or 0

    def stop(self) -> None:
        """Ended, politely at first. Twice is safe."""
        if self._child is not None:
            self._child.end((signal.SIGTERM, 6))

    def tail(self, size: int = 4000) -> str:
        """The end of its output."""
        return self.log.read_bytes()[-size:].decode(errors="replace") if self.log.exists() else ""


class Stack:
    """The three services on one database and one Redis; `notify` is the first of `notifies`."""

    def __init__(self, database: Database, redis_url: str, folder: Path, extra: Mapping[str, str]) -> None:
        self._folder = folder
        self._feed_port, self._extra = free_port(), dict(extra)
        self._base = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")},
            "CHORUS_DATABASE_URL": database.url_feed,
            "CHORUS_NOTIFY_DATABASE_URL": database.url_notify,
            "CHORUS_DIRECT_DATABASE_URL": database.url_direct,
            "CHORUS_REDIS_URL": redis_url,
            "CHORUS_SECRET_KEY": SECRET,
            "CHORUS_DATA_DIR": str(folder),
            "CHORUS_FEED_PORT": str(self._feed_port),
            "CHORUS_DRAIN": "0.5",
        }
        self._notify_port = free_port()
        env = self._environment(self._notify_port)
        self.url = f"http://127.0.0.1:{self._feed_port}"
        self.sequencer = Service("sequencer", "sequencer", env, folder / "sequencer.log", None)
        self.feed = Service("feed", "feed", env, folder / "feed.log", self.url)
        self.notifies: list[Service] = []

    @property
    def notify(self) -> Service:
        return self.notifies[0]

    @property
    def services(self) -> list[Service]:
        return [self.sequencer, self.feed, *self.notifies]

    def start(self, notifies: int = 1) -> None:
        """Everything runs and is ready."""
        ports = [self._notify_port, *(free_port() for _ in range(notifies - 1))]
        starting = [self.sequencer, self.feed, *(self._new_notify(port) for port in ports)]
        for service in starting:
            service.start(wait=False)
        for service in starting:
            service.wait_ready()

    def more_notify(self) -> Service:
        """One more notify process, ready."""
        service = self._new_notify(free_port())
        service.start()
        return service

    def stop(self) -> None:
        """All of it ended, all at the same time."""
        for service in self.services:
            if service.running:
                service.send(signal.SIGTERM)
        for service in self.services:
            service.stop()

    def _new_notify(self, port: int) -> Service:
        name = f"notify-{len(self.notifies) + 1}"
        url = f"http://127.0.0.1:{port}"
        service = Service(name, "notify", self._environment(port), self._folder / f"{name}.log", url)
        self.notifies.append(service)
        return service

    def _environment(self, notify_port: int) -> dict[str, str]:
        return {**self._base, "CHORUS_NOTIFY_PORT": str(notify_port), **self._extra}


@contextlib.contextmanager
def running_stack(database: Database, redis_url: str, folder: Path, extra: Mapping[str, str]) -> Iterator[Stack]:
    """Sequencer, feed and one notify, ready; `extra` are settings. All ended afterwards."""
    stack = Stack(database, redis_url, folder, extra)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
