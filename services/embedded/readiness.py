"""Waiting for a server that was launched, for callers that may block; the supervisor polls `ready` itself."""

import time
from pathlib import Path
from typing import Protocol

from services.embedded.engines import EngineUnavailable
from shared import clock


class Server(Protocol):
    """What Postgres and Redis have in common."""

    log: Path

    @property
    def pid(self) -> int | None: ...

    @property
    def running(self) -> bool: ...

    def launch(self) -> None: ...

    def ready(self) -> bool: ...

    def send(self, number: int) -> None: ...

    def stop(self, grace: float = ...) -> None: ...


def await_ready(server: Server, timeout: float) -> None:
    """Returns when it is ready. Raises EngineUnavailable, and leaves nothing running, when it isn't in time."""
    deadline = clock.monotonic() + timeout
    try:
        while not server.ready():
            if clock.monotonic() > deadline:
                raise EngineUnavailable(f"Not ready after {timeout:g} s; the end of {server.log}: {end_of(server.log)}")
            time.sleep(0.01)
    except EngineUnavailable:
        server.stop(grace=1)
        raise


def end_of(log: Path) -> str:
    """The last words in a log."""
    try:
        return log.read_bytes()[-800:].decode(errors="replace").strip()
    except OSError:
        return "(no log)"
