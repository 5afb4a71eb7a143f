"""The stage: Postgres and Redis of our own, the processes of Chorus on free ports, and the proxies between them.

Redis is reached through two proxies, one for the publishing side and one for the reading side, so that either can lose
it alone. Everything lives in one folder, which is cleared at the end.
"""

import asyncio
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import TypeAlias
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
from redis.asyncio import Redis as RedisClient
from redis.exceptions import RedisError

from services.bench.stack import free_port
from services.embedded import Engine, Postgres, Redis
from services.torture import scratch
from services.torture.http import Http
from services.torture.memory import Growth, largest_child
from services.torture.process import Service
from services.torture.proxy import Connect, Proxy
from shared.postgres import migrate

STREAM = "chorus:log:{0}"
READY = 120.0
"""Seconds until an embedded server must be ready; it takes a tenth of one, and some after a crash."""
NOTIFIES = 3
DRAIN = 0.5
"""Seconds over which a notify process that leaves spreads its sockets."""
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a statement raises while Postgres is away; other errors are ours."""


class Stage:
    """`start` … `stop`. Servers may be killed and replaced; services are watched, and started again when they die."""

    def __init__(self, *, sequencers: int, logs: int, keep: bool, engine: Engine | None = None) -> None:
        self.folder = scratch.make()
        self.logs = logs
        self._keep = keep
        # Processes die here, machines don't: without fsync a kill loses nothing that was written.
        settings = {"max_connections": "80", "wal_receiver_timeout": "2s"}
        self._pair = [Postgres(self.folder / name, durable=False, settings=settings) for name in ("pg", "pg-2")]
        self.postgres = self._pair[0]
        """The one that may be written; services know both, and find it."""
        self.redis = Redis(self.folder / "redis", engine=engine)
        self.publishing = Proxy("publishing", self._to_redis)
        self.reading = Proxy("reading", self._to_redis)
        self._feed_port = free_port()
        self._secret = secrets.token_hex(32)
        self._sequencers = sequencers
        self.services: list[Service] = []
        self.doors: list[Proxy] = []
        self.http: dict[str, Http] = {}
        self.doors_of_metrics: dict[str, Http] = {}
        self._servers = {role: Growth() for role in ("redis", "postgres", "backend")}
        self._watching: asyncio.Task[None] | None = None
        self._numbers = iter(range(1, 1 << 30))

    @property
    def feed(self) -> Service:
        """The feed."""
        return self.named("feed")

    @property
    def sequencers(self) -> list[Service]:
        """All of them."""
        return [service for service in self.services if service.command == "sequencer"]

    @property
    def notifies(self) -> list[Service]:
        """All of them."""
        return [service for service in self.services if service.command == "notify"]

    def named(self, name: str) -> Service:
        """One service."""
        return next(service for service in self.services if service.name == name)

    def live_url(self, number: int, *, through_proxy: bool) -> str:
        """Where a socket of that notify process connects."""
        service = self.notifies[number]
        port = self.doors[number].port if through_proxy else service.port
        return f"ws://127.0.0.1:{port}/v1/live"

    async def start(self) -> None:
        """Everything runs and is ready."""
        await self.run_postgres()
        await self.run_redis(self.redis)
        await migrate(self.postgres.url())
        await self.publishing.start()
        await self.reading.start()
        for number in range(self._sequencers):
            self._add(f"sequencer-{number + 1}", "sequencer", free_port())
        self._add("feed", "feed", self._feed_port)
        for number in range(NOTIFIES):
            port = free_port()
            self._add(f"notify-{number + 1}", "notify", port)
            door = Proxy(f"notify-{number + 1}", _to_port(port))
            await door.start()
            self.doors.append(door)
        for service in self.services:
            service.launch()
        await self.all_ready()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self, *, keep_logs: bool = False) -> None:
        """Nothing runs; nothing is left on disk but what is kept. Twice is safe."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for service in self.services:
            service.signal(15)
        for service in self.services:
            await asyncio.to_thread(service.end)
        for proxy in (self.publishing, self.reading, *self.doors):
            await proxy.stop()
        for http in self.doors_of_metrics.values():
            await http.aclose()
        await asyncio.to_thread(self.redis.stop)
        for server in self._pair:
            await asyncio.to_thread(server.stop, 3)
        if not self._keep:
            await asyncio.to_thread(scratch.clear, self.folder, keep_logs=keep_logs)

    async def all_ready(self, command: str | None = None) -> None:
        """Every service, or those of that command, runs and is ready. Raises TimeoutError."""
        services = [service for service in self.services if command in (None, service.command)]
        for service in services:
            if not service.running:
                service.launch()
        for service in services:
            await service.ready(self.http.get(service.name))

    async def restart(self, service: Service) -> None:
        """A new process of that service, ready."""
        await service.kill()
        service.launch()
        await service.ready(self.http.get(service.name))

    @property
    def other_postgres(self) -> Postgres:
        """The place for a second server; what it holds is of no use to anybody."""
        return self._pair[1 - self._pair.index(self.postgres)]

    async def run_postgres(self, server: Postgres | None = None) -> None:
        """That Postgres (None: the present one) takes connections. Tried again while workers of a postmaster that was
        killed are still leaving."""
        server = server or self.postgres
        async with asyncio.timeout(READY):
            while True:
                server.launch()
                try:
                    while not server.ready():  # noqa: ASYNC110 - its state is a file
                        await asyncio.sleep(0.02)
                    return
                except Exception:
                    await asyncio.sleep(0.1)

    async def run_redis(self, server: Redis) -> None:
        """That server answers."""
        server.launch()
        async with asyncio.timeout(READY):
            while not await asyncio.to_thread(server.ready):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    def another_redis(self) -> Redis:
        """A second server of the same kind, not running yet."""
        return Redis(self.folder / f"redis-{next(self._numbers)}", engine=self.redis.engine)

    def admin(self, server: Redis | None = None) -> "RedisClient":
        """A client of that Redis (None: the present one), past the proxies; the caller closes it."""
        return RedisClient.from_url((server or self.redis).url, socket_timeout=10)

    async def connect(self, role: str = "chorus", server: Postgres | None = None) -> "Connection":
        """A connection to Postgres (None: the present one), past everybody's pools; the caller closes it."""
        return await asyncpg.connect((server or self.postgres).url(role), timeout=30)

    async def fetch(self, statement: str, *arguments: object) -> "list[asyncpg.Record]":
        """Rows of one statement, asked again while Postgres is away: it may be done twice. Raises TimeoutError."""
        async with asyncio.timeout(READY):
            while True:
                try:
                    connection = await self.connect()
                    try:
                        return list(await connection.fetch(statement, *arguments))
                    finally:
                        connection.terminate()
                except AWAY:
                    await asyncio.sleep(0.1)

    async def chorus(self, *arguments: str, fails: bool = False) -> str:
        """What an operator's command says. Raises AssertionError when it does not end well, or as `fails` says."""
        command = [sys.executable, "-m", "services.cli", *arguments]
        call = partial(subprocess.run, command, env=self.environment(), capture_output=True, text=True, timeout=120)
        done = await asyncio.to_thread(call)
        if done.returncode != int(fails):
            raise AssertionError(f"chorus {arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    async def metric(self, service: Service, name: str, label: str = "") -> float:
        """What that process says at /metrics, over all labels or those with `label`. Raises Unreached, and KeyError
        when it has none of that name."""
        answer = await self.doors_of_metrics[service.name].look("/metrics")
        if f"# TYPE {name} " not in answer.body:
            raise KeyError(name)
        lines = [line for line in answer.body.splitlines() if re.match(rf"{name}[ {{]", line) and label in line]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def memory(self) -> dict[str, tuple[str, Growth]]:
        """Each process's role and what it was seen with."""
        return {service.name: (service.command, service.memory) for service in self.services} | {
            role: (role, seen) for role, seen in self._servers.items()
        }

    async def _watch(self) -> None:
        turns = count()
        while True:
            await asyncio.sleep(0.2)
            for service in self.services:
                if service.look():
                    service.launch()
            self._servers["redis"].look(self.redis.pid or 0)
            self._servers["postgres"].look(self.postgres.pid or 0)
            if next(turns) % 5 == 0:  # there are a hundred of them
                self._servers["backend"].found(largest_child(self.postgres.pid or 0))

    async def _to_redis(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        path = self.redis.url.removeprefix("unix://").replace("%2F", "/")
        return await asyncio.open_unix_connection(path)

    def environment(self, redis: Proxy | None = None) -> Mapping[str, str]:
        """What a command of ours is told, to find these servers."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("CHORUS_")},
            "CHORUS_DATABASE_URL": self._url("chorus_feed"),
            "CHORUS_NOTIFY_DATABASE_URL": self._url("chorus_notify"),
            "CHORUS_DIRECT_DATABASE_URL": self._url("chorus"),
            "CHORUS_REDIS_URL": f"redis://127.0.0.1:{(redis or self.publishing).port}",
            "CHORUS_SECRET_KEY": self._secret,
            "CHORUS_DATA_DIR": str(self.folder),
            "CHORUS_FEED_PORT": str(self._feed_port),
            "CHORUS_LOGS": str(self.logs),
        }

    def _url(self, role: str) -> str:
        hosts = ",".join(quote(sockets_of(server), safe="") for server in self._pair)
        return f"postgresql://{role}@/chorus?host={hosts}&port=5432,5432&target_session_attrs=read-write"

    def _add(self, name: str, command: str, port: int) -> None:
        env = {
            **self.environment(self.reading if command == "notify" else self.publishing),
            f"CHORUS_{command.upper()}_PORT": str(port),
            "CHORUS_DRAIN": str(DRAIN),
            "CHORUS_PING_INTERVAL": "5",
            "CHORUS_FEED_POOL": "10",
            "CHORUS_NOTIFY_POOL": "6",
            "CHORUS_SIGNUPS_PER_HOUR": "1000000",
            "CHORUS_SIGN_IN_ATTEMPTS": "1000000",
            "CHORUS_WRITES_PER_MINUTE": "1000000",
        }
        self.services.append(Service(name, command, env, self.folder, port))
        self.doors_of_metrics[name] = Http("127.0.0.1", port)
        if command != "sequencer":
            self.http[name] = self.doors_of_metrics[name]


def sockets_of(server: Postgres) -> str:
    """The folder in which that server listens."""
    return parse_qs(urlsplit(server.url()).query)["host"][0]


def _to_port(port: int) -> Connect:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    return connect


async def stream_end(redis: RedisClient) -> str:
    """The stream's last id; empty while there is none."""
    try:
        about = await redis.xinfo_stream(STREAM)
    except RedisError:
        return ""
    last: str = about["last-generated-id"].decode()
    return last
