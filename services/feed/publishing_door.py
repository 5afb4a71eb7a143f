"""The publishing process's own small door: `/healthz`, `/readyz` and `/metrics`, answered by the loop that numbers.

No Litestar: three addresses are not worth 30 MB in a process that serves nobody else, and a thread of its own would go
on saying "ok" when the loop stands still.
"""

import asyncio
import contextlib
import datetime
import json
import socket
from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from redis.asyncio import Redis

from services.feed.queries import QUERIES
from shared import clock
from shared.eventlog.retention import KEEP
from shared.eventlog.sequencer import Sequencer
from shared.eventlog.stream import UNAVAILABLE
from shared.postgres import POSTGRES_AWAY, Pool

LEADING = Gauge("chorus_sequencer_leading", "1 where this process numbers the log.", ["log"])
REDIS = Gauge("chorus_sequencer_redis_reached", "1 where this process leads and knows its stream's end.", ["log"])
UNPUBLISHED = Gauge(
    "chorus_sequencer_unpublished_positions", "Numbered and not in the stream; 0 where another leads.", ["log"]
)
HEAD = Gauge("chorus_log_head_position", "The newest position in Postgres.", ["log"])
UNNUMBERED = Gauge("chorus_log_unnumbered_events", "Committed events without a number.", ["log"])
UNNUMBERED_AGE = Gauge("chorus_log_unnumbered_seconds", "Age of the oldest of them; 0: there is none.", ["log"])
FOLLOWER = Gauge("chorus_consumer_lag_positions", "Positions that a durable follower is behind.", ["consumer", "log"])
FOLLOWER_LATE = Gauge(
    "chorus_consumer_lag_seconds",
    "Age of the first event that it has not handled; 0: there is none.",
    ["consumer", "log"],
)
DAYS_AHEAD = Gauge("chorus_log_days_ahead", "Days after today whose partitions are made; 7 is as it should be.")
DEFAULT_USED = Gauge("chorus_log_default_partition_used", "1 where events went to no day of their own.")
CLOCK = Gauge(
    "chorus_clock_ahead_seconds", "Seconds that our clock, by which days come and go, is ahead of Postgres's."
)
DAYS_HELD = Gauge("chorus_log_days_held", "Days of the log that are there, today among them.")
DAYS_OVERDUE = Gauge("chorus_log_days_overdue", "Days that are older than what is kept, and are still there.")
DATABASE = Gauge("chorus_database_bytes", "Size of the database, the log in it; without Postgres's own WAL.")
LOG = Gauge("chorus_log_bytes", "Size of the event log in the database, with its indexes.")
REDIS_USED = Gauge("chorus_redis_used_bytes", "Memory that Redis uses; in a cluster its fullest node.")
REDIS_MOST = Gauge("chorus_redis_max_bytes", "Memory that it may use; 0: as much as there is.")

MOST = 100_001
"""Unnumbered events that are counted; more are as many as these to whoever is woken by it."""
PATIENCE = 2.0
"""Seconds for a question to Postgres, and for a caller to say what it wants."""


class Door:
    """Answers for these sequencers; `pool` is of the owner's role. `keep` is for how long the log's days are kept."""

    def __init__(
        self,
        sequencers: Sequence[Sequencer],
        pool: Pool,
        *,
        redis: "Redis | None" = None,
        keep: datetime.timedelta = KEEP,
    ) -> None:
        self._sequencers = sequencers
        self._pool = pool
        self._redis = redis
        self._keep = keep

    async def run(self, door: socket.socket) -> None:
        """Until cancelled."""
        server = await asyncio.start_server(self._serve, sock=door)
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(2 * PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")
                status, media_type, body = await self._answer(path)
                top = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
                writer.write(f"{top}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body)
                await writer.drain()
        except (TimeoutError, OSError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it asked for nothing that we know, or has gone
        finally:
            writer.close()

    async def _answer(self, path: str) -> tuple[str, str, bytes]:
        if path == "/healthz":
            return "200 OK", "application/json", b'{"status":"ok"}'
        if path == "/readyz":
            return await self._readiness()
        if path == "/metrics":
            with contextlib.suppress(*POSTGRES_AWAY):  # what only Postgres knows keeps its last value
                await self._look()
            with contextlib.suppress(*UNAVAILABLE):
                await self._look_at_redis()
            self._tell()
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest()
        return "404 Not Found", "text/plain", b""

    async def _readiness(self) -> tuple[str, str, bytes]:
        broken = []
        try:
            async with asyncio.timeout(PATIENCE):
                await self._pool.fetchval("SELECT 1")
        except POSTGRES_AWAY as error:
            broken.append({"name": "postgres", "detail": type(error).__name__})
        down = bool(broken)
        for each in self._sequencers:
            if each.leading.is_set() and each.publishes and each.published is None:
                detail = f"Log {each.log} is numbered; readers take it from Postgres."
                broken.append({"name": "redis", "detail": detail})
        status = "down" if down else "degraded" if broken else "ok"
        body = json.dumps({"status": status, "broken": broken}).encode()
        return "503 Service Unavailable" if down else "200 OK", "application/json", body

    async def _look(self) -> None:
        async with asyncio.timeout(PATIENCE), self._pool.acquire() as connection:
            for row in await QUERIES.standings(connection, most=MOST):
                log = str(row["log"])
                HEAD.labels(log).set(row["head"])
                UNNUMBERED.labels(log).set(row["events"])
                UNNUMBERED_AGE.labels(log).set(max(0.0, row["age"]))
                UNPUBLISHED.labels(log).set(self._unpublished(row["log"], row["head"]))
            for row in await QUERIES.followers(connection):
                consumer = row["name"], str(row["log"])
                FOLLOWER.labels(*consumer).set(row["behind"])
                FOLLOWER_LATE.labels(*consumer).set(max(0.0, row["late"]))
            now = clock.now()
            days = await QUERIES.days(connection, today=now.date(), keep_since=(now - self._keep).date())
            DAYS_AHEAD.set(days["ahead"])
            DAYS_HELD.set(days["held"])
            DAYS_OVERDUE.set(days["overdue"])
            DEFAULT_USED.set(days["stray"])
            CLOCK.set(clock.unix() - (await QUERIES.time_there(connection)).timestamp())
            room = await QUERIES.room(connection)
            DATABASE.set(room["database"])
            LOG.set(room["log"])

    async def _look_at_redis(self) -> None:
        if self._redis is None:
            return
        async with asyncio.timeout(PATIENCE):
            info = await self._redis.info("memory")
        nodes = [info] if "used_memory" in info else list(info.values())
        fullest = max(nodes, key=lambda node: node["used_memory"] / (node["maxmemory"] or float("inf")))
        REDIS_USED.set(fullest["used_memory"])
        REDIS_MOST.set(fullest["maxmemory"])

    def _unpublished(self, log: int, head: int) -> int:
        leader = next((each for each in self._sequencers if each.log == log and each.leading.is_set()), None)
        if leader is None or not leader.publishes:
            return 0
        return max(0, head - (leader.published or 0))

    def _tell(self) -> None:
        for each in self._sequencers:
            LEADING.labels(str(each.log)).set(each.leading.is_set())
            REDIS.labels(str(each.log)).set(each.leading.is_set() and each.published is not None)
