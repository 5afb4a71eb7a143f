"""A sequencer killed between any two steps, and two of them getting in each other's way, while Redis loses things."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import faults
from shared.eventlog import publisher, sequencer
from shared.eventlog.entries import Entry
from shared.eventlog.position import Position
from shared.eventlog.tail import EpochChanged
from tests.eventlog.rig import Connection, Crash, Rig, append, crash_at, crashed, take, until
from tests.servers import Database


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few events are a backlog of several pages."""
    monkeypatch.setattr(sequencer, "PAGE", 3)
    monkeypatch.setattr(publisher, "PAGE", 3)


WRITERS = 3
POINTS = [name for name in faults.NAMES if name.startswith("sequencer:")]


@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_between_two_steps_is_mended_by_the_next_leader(rig: Rig, point: faults.Name) -> None:
    async with rig.running():
        await rig.write(3)
        await rig.settle()
    if point == "sequencer:epoch_opened":
        await rig.pool.execute("UPDATE eventlog.installation SET timeline = 'another'")
    if point in ("sequencer:begun", "sequencer:publishing"):
        await rig.redis.flushall()
    await rig.write(4)
    fired = crash_at(point)
    with pytest.raises((ExceptionGroup, Exception)) as ended:
        async with asyncio.timeout(10):
            await rig.sequencer().run()
    assert crashed(ended.value)
    assert fired.is_set()
    await rig.write(2)
    async with rig.running():
        await rig.settle()
    assert (await rig.head()).seq == 9
    await rig.check()


class Chaos:
    """Two sequencers a log, started again whenever they crash; slow writers; followers that read all the
    while; and somebody who breaks things."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    async def open(self) -> None:
        self.writers = [await self.rig.connect() for _ in range(WRITERS)]

    async def play(self, actions: list[tuple[str, Any]]) -> None:
        self.crashes: Counter[str] = Counter()
        self.pauses: dict[str, asyncio.Event] = {}
        faults.hold(self._at)
        starts = [await self.rig.head(log) for log in range(self.rig.logs)]
        readings: list[tuple[int, list[Entry]]] = []
        async with self._immortal(), self._following(starts, readings):
            for what, argument in actions:
                await self._act(what, argument)
            for writer in range(WRITERS):
                await self._end(writer, "COMMIT")
            self._wake()
            self.crashes.clear()
            await self.rig.settle()
            for log, seen in readings:
                await until(partial(self._has_read, seen, log, starts[log]))
        for log, seen in readings:
            assert seen == (await self.rig.log(log))[starts[log].seq :]
        await self.rig.check()

    async def _act(self, what: str, argument: Any) -> None:
        rig = self.rig
        stream = rig.stream(argument % rig.logs if isinstance(argument, int) else 0)
        match what:
            case "write":
                await rig.write(argument, key=str(argument))
            case "xid":
                await (await self._begun(argument)).fetchval("SELECT pg_current_xact_id()")
            case "append":
                await append(await self._begun(argument), key=str(argument))
            case "COMMIT" | "ROLLBACK":
                await self._end(argument, what)
            case "crash":
                self.crashes[argument] += 1
            case "pause":
                self.pauses.setdefault(argument, asyncio.Event())
            case "wake":
                self._wake()
            case "flush":
                await rig.redis.flushall()
            case "trim":
                await rig.redis.xtrim(stream.key, maxlen=1, approximate=False)
            case "lose":
                await rig.redis.delete(stream.key)
            case "terminate":
                await rig.pool.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name LIKE 'chorus sequencer%'"""
                )
            case "settle":
                self._wake()
                await rig.settle()

    async def _begun(self, writer: int) -> Connection:
        connection = self.writers[writer]
        if not connection.is_in_transaction():
            await connection.execute("BEGIN")
        return connection

    async def _end(self, writer: int, how: str) -> None:
        if self.writers[writer].is_in_transaction():
            await self.writers[writer].execute(how)

    async def _at(self, name: faults.Name, _log: int | None) -> None:
        if (paused := self.pauses.get(name)) is not None:
            await paused.wait()
        if self.crashes[name]:
            self.crashes[name] -= 1
            raise Crash(name)

    def _wake(self) -> None:
        for paused in self.pauses.values():
            paused.set()
        self.pauses = {}

    @contextlib.asynccontextmanager
    async def _following(self, starts: list[Position], readings: list[tuple[int, list[Entry]]]) -> AsyncIterator[None]:
        """Each log is read from Redis, and the first one from Postgres alone beside it."""
        async with asyncio.TaskGroup() as group:
            tasks = []
            for log, redis in [*((log, True) for log in range(self.rig.logs)), (0, False)]:
                readings.append((log, []))
                tasks.append(group.create_task(self._follow(log, starts[log], readings[-1][1], redis=redis)))
            yield
            for task in tasks:
                task.cancel()

    async def _follow(self, log: int, position: Position, seen: list[Entry], *, redis: bool) -> None:
        while True:
            try:
                async with contextlib.aclosing(self.rig.tail(log, start=position, redis=redis)) as tail:
                    async for batch in tail:
                        seen += batch
                        position = tail.position
            except EpochChanged as changed:
                position = Position(changed.new_epoch, position.seq)

    async def _has_read(self, seen: list[Entry], log: int, start: Position) -> bool:
        return len(seen) >= (await self.rig.head(log)).seq - start.seq

    @contextlib.asynccontextmanager
    async def _immortal(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._run_forever(log)) for log in range(self.rig.logs) for _ in range(2)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended

    async def _run_forever(self, log: int) -> None:
        while True:
            try:
                await self.rig.sequencer(log).run()
            except Exception as error:
                if not crashed(error):
                    raise


writers = st.integers(0, WRITERS - 1)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 30)),
        st.tuples(st.sampled_from(["xid", "append", "append", "COMMIT", "ROLLBACK"]), writers),
        st.tuples(st.sampled_from(["settle", "wake"]), st.just(0)),
        st.tuples(st.sampled_from(["crash", "pause"]), st.sampled_from(POINTS)),
        st.tuples(st.sampled_from(["flush", "trim", "lose", "terminate"]), st.integers(0, 3)),
    ),
    min_size=6,
    max_size=20,
)


@pytest.fixture(params=[1, 4], ids=["1-log", "4-logs"])
def chaos(database: Database, redis_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[asyncio.Runner, Chaos]]:
    """One database and one Redis for all examples, on a loop of their own."""
    with asyncio.Runner() as runner:
        rig = Rig(database, redis_url, logs=request.param)
        runner.run(rig.__aenter__())
        chaos = Chaos(rig)
        runner.run(chaos.open())
        yield runner, chaos
        runner.run(rig.__aexit__())


LEAN = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.both_redis
@LEAN
@given(actions=actions)
def test_whatever_breaks_the_log_and_its_stream_come_out_the_same(
    chaos: tuple[asyncio.Runner, Chaos], actions: list[tuple[str, Any]]
) -> None:
    runner, there = chaos
    runner.run(there.play(actions))


@pytest.mark.long
@pytest.mark.both_redis
@pytest.mark.timeout(3600)
@settings(LEAN, max_examples=120)
@given(actions=actions)
def test_whatever_breaks_at_length(chaos: tuple[asyncio.Runner, Chaos], actions: list[tuple[str, Any]]) -> None:
    runner, there = chaos
    runner.run(there.play(actions))


async def test_two_readings_of_one_position_are_byte_identical(rig: Rig) -> None:
    async with rig.running():
        await rig.write(50, tag="ü")
        await rig.settle()
        start = (await rig.head())._replace(seq=0)
        from_redis = await take(rig.tail(start=start), 50)
        from_postgres = await take(rig.tail(start=start, redis=False), 50)
    readings: list[list[Entry]] = [from_redis, from_postgres, await rig.log(), list((await rig.streamed()).values())]
    assert all(reading == readings[0] for reading in readings)
