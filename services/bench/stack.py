"""The bench's own Chorus: embedded servers that write as safely as in production, services as processes, free ports.

Services start when a row first needs them and stay, so that rows share one warm system; a row may ask for a fresh one.
"""

import asyncio
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import redis

from services.embedded import Child, Postgres, Redis
from shared.listening import is_free
from shared.postgres import migrate

T = TypeVar("T")
READY_PATIENCE = 60.0
STREAM = "chorus:log:{0}"


class NotUp(RuntimeError):
    """A service did not come up; the message ends with its log."""


class Stack:
    """Postgres and Redis run from `start` to `stop`; `service(name)` starts what a row needs."""

    def __init__(self) -> None:
        # Not /tmp, which is often memory: there a commit would cost nothing.
        self.folder = Path(tempfile.mkdtemp(prefix="chorus-bench-", dir="/var/tmp"))
        self.folder.chmod(0o711)  # the servers' account passes through
        self.postgres = Postgres(self.folder / "pg")
        self.redis = Redis(self.folder / "redis")
        self.ports = {"feed": free_port(), "notify": free_port()}
        self._children: dict[str, Child] = {}
        self._secret = secrets.token_hex(32)

    def start(self) -> None:
        """Both servers take connections, and the schema is the newest."""
        self.postgres.start()
        self.redis.start()
        at_once(migrate(self.postgres.url()))

    def age(self) -> None:
        """Postgres has WAL files to write over, as after its first hours: a fresh one makes each, 16 MB of zeros, while
        every commit waits some 60 ms."""
        self.query("SELECT pg_logical_emit_message(false, 'bench', repeat('x', 1000000)) FROM generate_series(1, 400)")
        self.query("CHECKPOINT")

    def stop(self) -> None:
        """Nothing runs and nothing is left on disk. Twice is safe."""
        for name in list(self._children):
            self.end(name)
        self.redis.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def services(self, *names: str) -> None:
        """These services run and are ready."""
        missing = [name for name in names if not self._runs(name)]
        for name in missing:
            self._launch(name)
        for name in missing:
            self._await_ready(name)

    def restart(self, name: str, *options: str, ports: Iterable[int] = ()) -> None:
        """A fresh process of that service, with these options of its command, ready at all its `ports`."""
        self.end(name)
        self._launch(name, *options)
        self._await_ready(name)
        for port in ports:
            self._await(name, partial(_answers, port))

    def end(self, name: str) -> None:
        """That service does not run."""
        child = self._children.pop(name, None)
        if child is not None:
            child.end((signal.SIGTERM, 5))

    def pids(self) -> dict[str, int | None]:
        """Every process of the stack, by name."""
        servers = {"postgres": self.postgres.pid, "redis": self.redis.pid}
        return {**{name: child.pid for name, child in self._children.items()}, **servers}

    def redis_client(self) -> "redis.Redis":
        """A synchronous client; the caller closes it."""
        return redis.Redis.from_url(self.redis.url)

    def query(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of one statement, as the owner of all schemas."""

        async def ask() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.postgres.url())
            try:
                return list(await connection.fetch(statement, *arguments))
            finally:
                await connection.close()

        return at_once(ask())

    def stream_head(self) -> int:
        """The newest position in the stream, 0 when there is none."""
        with self.redis_client() as client:
            try:
                last = client.xinfo_stream(STREAM)["last-generated-id"]
            except redis.ResponseError:
                return 0
        return int(last.split(b"-")[1])

    def head(self) -> tuple[int, int]:
        """Epoch and newest position of log 0 in Postgres."""
        row = self.query("SELECT epoch, seq FROM eventlog.head WHERE log = 0")[0]
        return row["epoch"], row["seq"]

    def settle(self, timeout: float = 60) -> None:
        """Everything committed is numbered and in the stream. Raises NotUp after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._append_probe()
        last = -1
        while time.monotonic() < deadline:
            seq = self.head()[1]
            if seq == last and self.stream_head() == seq:
                return
            last = seq
            time.sleep(0.1)
        raise NotUp(f"Not everything is in the stream after {timeout:g} s.{self._end_of('sequencer')}")

    def _numbers_events(self) -> bool:
        """Whether a sequencer leads: it publishes what we append."""
        before = self.stream_head()
        self._append_probe()
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            if self.stream_head() > before:
                return True
            time.sleep(0.02)
        return False

    def _append_probe(self) -> None:
        self.query("SELECT eventlog.append('bench', 'bench.probe', ARRAY['topic:benchprobe'], '{}'::bytea)")

    def _launch(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "services.cli", name, *options]
            self._children[name] = Child(command, output=log, env=self._environment())

    def _await_ready(self, name: str) -> None:
        self._await(name, self._numbers_events if name == "sequencer" else partial(_answers, self.ports[name]))

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_PATIENCE
        while not ready():
            if not self._runs(name):
                raise NotUp(f"{name} ended by itself.{self._end_of(name)}")
            if time.monotonic() > deadline:
                raise NotUp(f"{name} is not ready after {READY_PATIENCE:g} s.{self._end_of(name)}")
            time.sleep(0.05)

    def _runs(self, name: str) -> bool:
        child = self._children.get(name)
        return child is not None and child.exit_code is None

    def _end_of(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        return f" Its log ends: {log.read_text(errors='replace').strip()[-600:]}" if log.exists() else ""

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
        return inherited | {
            "CHORUS_DATABASE_URL": self.postgres.url("chorus_feed"),
            "CHORUS_NOTIFY_DATABASE_URL": self.postgres.url("chorus_notify"),
            "CHORUS_DIRECT_DATABASE_URL": self.postgres.url(),
            "CHORUS_REDIS_URL": self.redis.url,
            "CHORUS_SECRET_KEY": self._secret,
            "CHORUS_DATA_DIR": str(self.folder),
            "CHORUS_FEED_PORT": str(self.ports["feed"]),
            "CHORUS_NOTIFY_PORT": str(self.ports["notify"]),
            "CHORUS_DRAIN": "0.1",
            "CHORUS_WRITES_PER_MINUTE": "100000000",  # the limit is on a member's writes; the row wants the service's
            "CHORUS_LOG_LEVEL": "warning",
        }


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, on a loop of its own, whatever loop runs here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _answers(port: int) -> bool:
    """Whether what listens there says that it is ready."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_ports(count: int) -> int:
    """The first of so many loopback ports in a row that nobody listens on.

    Below those that the system gives to clients by itself: a client's connection could take one of them before the
    server that it is meant for is there, or while that one starts again.
    """
    for _ in range(1_000):
        first = 10_000 + secrets.randbelow(22_000 - count)
        if all(is_free("127.0.0.1", first + n) for n in range(count)):
            return first
    raise OSError(f"there are no {count} free ports in a row")


def free_port() -> int:
    """One of those."""
    return free_ports(1)
