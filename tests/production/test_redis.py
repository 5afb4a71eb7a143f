"""The event log on Redis as it runs in production: whatever fails over, every event arrives, the streams are whole."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from services.doctor.stream import redis_found
from shared.eventlog import wakes
from shared.eventlog.entries import Entry
from shared.eventlog.outbox import wake
from shared.eventlog.position import Position
from shared.eventlog.stream import UNAVAILABLE
from shared.eventlog.tail import Tail
from tests.eventlog.rig import Rig, until
from tests.needed import needed
from tests.production.redises import PASSWORD, Cluster, Sentinels, settled
from tests.servers import Database, known_redis_engines, server_folder

PATIENCE = 40.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as folder:
        yield folder


class Load:
    """Writers into every log of a rig, and a tail of each log that keeps what it was given."""

    def __init__(self, rig: Rig, sequencers: "list[asyncio.Task[None]]") -> None:
        self.rig = rig
        self._sequencers = sequencers
        self.taken: list[list[Entry]] = [[] for _ in range(rig.logs)]
        self.tails: list[Tail] = []

    @contextlib.asynccontextmanager
    async def going(self) -> AsyncIterator["Load"]:
        """Writing and following, for the length of the block; then every tail has come to its head."""
        epoch = await self.rig.epoch()
        self.tails = [self.rig.tail(log, start=Position(epoch, 0)) for log in range(self.rig.logs)]
        follow = [asyncio.create_task(self._follow(tail)) for tail in self.tails]
        write = asyncio.create_task(self._write())
        self._tasks = [*self._sequencers, *follow, write]
        try:
            yield self
            write.cancel()
            await asyncio.gather(write, return_exceptions=True)
            await until(self._met, PATIENCE)
        finally:
            for task in [*follow, write]:
                task.cancel()
            ended = await asyncio.gather(*follow, return_exceptions=True)
            for tail in self.tails:
                await tail.aclose()
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended

    async def more(self, count: int) -> None:
        """Returns when every log has `count` more entries than now."""
        before = [len(taken) for taken in self.taken]
        await self._until(lambda: self._longer(before, count))

    async def on_redis(self) -> None:
        """Returns when every tail reads from Redis."""
        await self._until(self._all_on_redis)

    def check(self) -> None:
        """Every position came once, in order."""
        for taken in self.taken:
            assert [entry.seq for entry in taken] == list(range(1, len(taken) + 1))

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async def and_all_live() -> bool:
            for task in self._tasks:
                assert not task.done(), f"{task.get_name()} ended: {task.exception()!r}"
            return await holds()

        await until(and_all_live, PATIENCE)

    async def _longer(self, before: list[int], count: int) -> bool:
        return all(len(now) >= then + count for now, then in zip(self.taken, before, strict=True))

    async def _all_on_redis(self) -> bool:
        return all(tail.source == "redis" for tail in self.tails)

    async def _met(self) -> bool:
        heads = [(await self.rig.head(log)).seq for log in range(self.rig.logs)]
        written = await self.rig.pool.fetchval("SELECT count(*) FROM eventlog.event")
        return sum(heads) == written and [len(taken) for taken in self.taken] == heads

    async def _follow(self, tail: Tail) -> None:
        async for entries in tail:
            self.taken[tail.log] += entries

    async def _write(self) -> None:
        number = 0
        while True:
            number += 1
            await self.rig.write(2, key=str(number), tag=f"{number}")
            await asyncio.sleep(0.005)


async def whole(rig: Rig) -> None:
    """Returns when every stream ends at its head, and holds what Postgres holds."""

    async def at_their_heads() -> bool:
        with contextlib.suppress(*UNAVAILABLE):
            return await rig.is_settled()
        return False

    await until(at_their_heads, PATIENCE)
    await rig.check()


@pytest.mark.long
async def test_sentinels_promote_a_replica_under_load_and_every_event_arrives(database: Database, folder: Path) -> None:
    with Sentinels(needed("redis-server", "redis-server"), folder).running() as sentinels:
        async with Rig(database, sentinels.url) as rig, rig.running() as sequencers:
            load = Load(rig, sequencers)
            async with load.going():
                await load.more(50)
                await load.on_redis()
                sentinels.primary.send(signal.SIGSTOP)  # hung, not gone: nothing refuses a connection
                await load.more(50)
                await settled(lambda: sentinels.address() == sentinels.replica.port, "a promotion")
                await load.on_redis()
                await load.more(50)
            load.check()
            await whole(rig)
            connection: Any = rig.redis.connection_pool
            assert connection.master_address == ("127.0.0.1", sentinels.replica.port)
            sentinels.primary.send(signal.SIGCONT)  # it wakes up believing that it leads, and is told otherwise
            await rig.write(3)
            await whole(rig)


@pytest.mark.long
async def test_a_primary_told_to_step_down_is_left_at_once(database: Database, folder: Path) -> None:
    with Sentinels(needed("redis-server", "redis-server"), folder).running() as sentinels:
        async with Rig(database, sentinels.url) as rig, rig.running() as sequencers:
            load = Load(rig, sequencers)
            async with load.going():
                await load.more(50)
                with redis.Redis(port=sentinels._sentinels[0][1], password=PASSWORD) as sentinel:
                    sentinel.execute_command("SENTINEL", "FAILOVER", sentinels.name)
                await settled(lambda: sentinels.address() == sentinels.replica.port, "a promotion")
                await load.more(50)
                await load.on_redis()
            load.check()
            await whole(rig)


@pytest.mark.parametrize(
    ("engine", "fault"),
    [
        ("redis", "killed"),
        pytest.param("redis", "hung", marks=pytest.mark.long),
        pytest.param("valkey", "killed", marks=pytest.mark.long),
        pytest.param("valkey", "hung", marks=pytest.mark.long),
    ],
)
async def test_a_node_of_a_cluster_fails_over_under_load_and_every_event_of_four_logs_arrives(
    database: Database, folder: Path, engine: str, fault: str
) -> None:
    engines = known_redis_engines()
    program = engines[engine].program if engine in engines else needed("redis-server", "redis-server")
    with Cluster(program, folder).running() as cluster:
        async with Rig(database, cluster.url, logs=4) as rig, rig.running() as sequencers:
            load = Load(rig, sequencers)
            async with load.going():
                await load.more(40)
                await load.on_redis()
                cluster.primaries[0].send(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
                await load.more(40)
                await settled(cluster.promoted, "a promotion")
                await load.on_redis()
                await load.more(40)
            load.check()
            await whole(rig)
            assert {node.port for node in rig.redis.get_primaries()} >= {cluster.replica.port}


@pytest.mark.long
async def test_a_node_that_comes_back_empty_is_refilled_with_the_same_ids(database: Database, folder: Path) -> None:
    with Cluster(needed("redis-server", "redis-server"), folder).running() as cluster:
        async with Rig(database, cluster.url, logs=4) as rig, rig.running() as sequencers:
            load = Load(rig, sequencers)
            async with load.going():
                await load.more(40)
                before = {log: await rig.streamed(log) for log in range(4)}
                lost = cluster.primaries[2]  # has log {0}, and no replica
                lost.kill()
                await load.more(20)
                lost.start()
                await load.on_redis()
            load.check()
            await whole(rig)
            for log, entries in before.items():
                now = await rig.streamed(log)
                assert entries.items() <= now.items()


@pytest.mark.long
async def test_a_wake_reaches_the_sequencer_through_a_cluster(database: Database, folder: Path) -> None:
    with Cluster(needed("redis-server", "redis-server"), folder).running() as cluster:
        async with Rig(database, cluster.url, logs=4) as rig:
            heard = asyncio.Event()
            listening = asyncio.create_task(wakes.listen(rig.redis, [heard]))
            try:
                async with asyncio.timeout(20):
                    while not heard.is_set():  # lossy, so it may be said before anybody listens
                        await wake(rig.redis)
                        await asyncio.sleep(0.02)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)


@pytest.mark.long
async def test_the_doctor_looks_at_every_node_of_a_cluster(folder: Path) -> None:
    with Cluster(needed("redis-server", "redis-server"), folder).running() as cluster:
        findings = await redis_found(cluster.url, None, {})
        assert all(finding.ok for finding in findings), findings
        assert sum(finding.what.startswith("redis memory") for finding in findings) == 3
