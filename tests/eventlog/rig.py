"""A database, a Redis and writers around the event log, and the invariants that always hold."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import asyncpg
import msgspec

from shared import faults
from shared.eventlog.entries import Entry, read_range, read_rows
from shared.eventlog.installation import initialise
from shared.eventlog.position import Position
from shared.eventlog.sequencer import Sequencer
from shared.eventlog.stream import Stream
from shared.eventlog.tail import Tail
from shared.postgres import Pool, open_pool
from shared.redis_client import open_redis
from tests.servers import Database

PATIENCE = 60.0
_WRITE = """SELECT eventlog.append($1, 'thing.happened', '{post:1,topic:t}', $3)
            FROM generate_series(1, $2)"""
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Crash(Exception):
    """What a crash point raises: everything in flight is lost."""


class Rig:
    """One database with `logs` logs and one Redis; `async with` opens what is needed and closes it."""

    pool: Pool
    redis: Any

    def __init__(self, database: Database, redis_url: str | None, *, logs: int = 1) -> None:
        self.database = database
        self.redis_url = redis_url
        self.logs = logs
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Rig":
        await initialise(self.database.url_direct, self.logs)
        self.pool = await open_pool(self.database.url_direct, application_name="rig", max_size=8)
        self._stack.push_async_callback(self.pool.close)
        if self.redis_url is not None:
            self.redis = open_redis(self.redis_url)
            self._stack.push_async_callback(self.redis.aclose)
        else:
            self.redis = None
        return self

    async def __aexit__(self, *_: object) -> None:
        faults.hold(None)
        await self._stack.aclose()

    async def connect(self, url: str | None = None, **settings: str) -> Connection:
        """A connection of the rig's own, as the feed unless told otherwise."""
        connection = await asyncpg.connect(url or self.database.url_feed, server_settings=settings)
        self._stack.push_async_callback(connection.close, timeout=5)
        return connection

    async def numberer(self) -> Connection:
        """A session that may call `eventlog.number`."""
        return await self.connect(self.database.url_direct, default_transaction_isolation="repeatable read")

    def sequencer(self, log: int = 0, **options: Any) -> Sequencer:
        return Sequencer(log, url=self.database.url_direct, pool=self.pool, redis=self.redis, **options)

    def sequencers(self, **options: Any) -> list[Sequencer]:
        return [self.sequencer(log, **options) for log in range(self.logs)]

    @contextlib.asynccontextmanager
    async def running(self, *sequencers: Sequencer) -> AsyncIterator[list[asyncio.Task[None]]]:
        """They run for the length of the block; what one raised is raised at the end, except a Crash."""
        tasks = [asyncio.create_task(each.run()) for each in sequencers or self.sequencers()]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, Exception) and not crashed(outcome):
                raise outcome

    def tail(self, log: int = 0, *, start: Position | None = None, redis: bool = True) -> Tail:
        return Tail(log, pool=self.pool, redis=self.redis if redis else None, start=start)

    def stream(self, log: int = 0) -> Stream:
        return Stream(self.redis, log)

    async def epoch(self) -> int:
        epoch: int = await self.pool.fetchval("SELECT max(epoch) FROM eventlog.head")
        return epoch

    async def head(self, log: int = 0) -> Position:
        return Position(*await self.pool.fetchrow("SELECT epoch, seq FROM eventlog.head WHERE log = $1", log))

    async def write(self, count: int = 1, *, key: str = "k", tag: str = "") -> list[int]:
        """Commits `count` events in one transaction; returns their ids."""
        rows = await self.pool.fetch(_WRITE, key, count, msgspec.json.encode({"tag": tag}))
        return [row[0] for row in rows]

    async def log(self, log: int = 0) -> list[Entry]:
        """The whole log as Postgres has it."""
        return await read_range(self.pool, log, 1, 2**62, 1_000_000)

    async def restream(self, strange: Mapping[int, Mapping[str, Any]]) -> Position:
        """The log is streamed anew, from its first position, which is given; these positions hold what is no entry."""
        start = (await self.head())._replace(seq=0)
        stream = self.stream()
        await stream.begin(start)
        for seq, row in enumerate(await read_rows(self.pool, 0, 0, 2**62, 1_000_000), 1):
            if seq in strange:
                await self.redis.xadd(stream.key, dict(strange[seq]), f"{start.epoch}-{seq}")
            else:
                await stream.publish(start.epoch, seq - 1, [row[:1] + row[2:]])
        return start

    async def streamed(self, log: int = 0) -> dict[Position, Entry]:
        """Everything in the stream."""
        _, pairs = await self.stream(log).read(Position(0, 0), count=1_000_000, block=0.01)
        assert None not in dict(pairs).values()
        return dict(pairs)  # type: ignore[arg-type]

    async def settle(self) -> None:
        """Returns when every committed event is numbered, and every stream ends at its head."""
        await until(self.is_settled)

    async def is_settled(self) -> bool:
        unnumbered = await self.pool.fetchval(
            """SELECT count(*) FROM eventlog.event e
               WHERE NOT EXISTS (SELECT FROM eventlog.entry x WHERE x.event_id = e.id)"""
        )
        if unnumbered:
            return False
        for log in range(self.logs):
            if self.redis is not None and await self.stream(log).last() != await self.head(log):
                return False
        return True

    async def check(self) -> None:
        """The log equals the committed events, dense, and the stream shows the same bytes."""
        committed = await self.pool.fetch("SELECT * FROM eventlog.event ORDER BY id")
        seen = []
        for log in range(self.logs):
            entries = await self.log(log)
            assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
            seen += [(entry.event_id, log, entry.type, entry.channels, entry.payload) for entry in entries]
            if self.redis is not None:
                by_seq = {entry.seq: entry for entry in entries}
                for position, entry in (await self.streamed(log)).items():
                    assert position == (await self.epoch(), entry.seq)
                    assert entry == by_seq[entry.seq]
        assert sorted(seen) == [(e["id"], e["log"], e["type"], tuple(e["channels"]), e["payload"]) for e in committed]


def crashed(error: BaseException) -> bool:
    """Whether nothing but crash points ended it."""
    if isinstance(error, BaseExceptionGroup):
        return all(crashed(each) for each in error.exceptions)
    return isinstance(error, Crash)


async def append(connection: Any, *, key: str = "k", body: Any = None, channels: tuple[str, ...] = ("post:1",)) -> int:
    """One event by the SQL function, as a writer in any language would."""
    payload = msgspec.json.encode(body if body is not None else {})
    appended: int = await connection.fetchval(
        "SELECT eventlog.append($1, 'thing.happened', $2, $3)", key, list(channels), payload
    )
    return appended


async def until(holds: Callable[[], Awaitable[bool]], timeout: float = PATIENCE) -> None:
    """Returns when it holds; raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not await holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        await asyncio.sleep(0.005)


async def take(tail: Tail, count: int) -> list[Entry]:
    """The tail's next `count` entries."""
    taken: list[Entry] = []
    async with asyncio.timeout(PATIENCE):
        while len(taken) < count:
            taken += await anext(tail)
    assert len(taken) == count
    return taken


def crash_at(name: faults.Name, *, times: int = 1) -> asyncio.Event:
    """The next `times` arrivals at this point crash; the event tells that the first did."""
    fired = asyncio.Event()
    left = times

    async def hook(at: faults.Name, _log: int | None) -> None:
        nonlocal left
        if at == name and left:
            left -= 1
            fired.set()
            raise Crash(name)

    faults.hold(hook)
    return fired


class Hold:
    """The first arrival at this point stays there until `release`: a leader that is paused."""

    def __init__(self, name: faults.Name) -> None:
        self.arrived = asyncio.Event()
        self._released = asyncio.Event()
        self._name = name
        faults.hold(self._hook)

    def release(self) -> None:
        self._released.set()

    async def _hook(self, at: faults.Name, _log: int | None) -> None:
        if at == self._name and not self.arrived.is_set():
            self.arrived.set()
            await self._released.wait()
