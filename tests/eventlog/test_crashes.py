"""A sequencer killed between any two steps, and two of them getting in each other's way, while Redis loses things."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import faults
from shared.eventlog import publisher, sequencer
from shared.eventlog.entries import Entry
from tests.eventlog.rig import Rig, crash_at, crashed, take
from tests.servers import Database


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few events are a backlog of several pages."""
    monkeypatch.setattr(sequencer, "PAGE", 3)
    monkeypatch.setattr(publisher, "PAGE", 3)


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
    """Two sequencers a log, started again whenever they crash; a tail beside them; and somebody who breaks things."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    async def play(self, actions: list[tuple[str, Any]]) -> None:
        starts = [await self.rig.head(log) for log in range(self.rig.logs)]
        tails = [self.rig.tail(log, start=starts[log]) for log in range(self.rig.logs)]
        async with self._immortal():
            for what, argument in actions:
                await self._act(what, argument)
            faults.hold(None)
            await self.rig.settle()
            for log, tail in enumerate(tails):
                new = (await self.rig.log(log))[starts[log].seq :]
                assert await take(tail, len(new)) == new
                await tail.aclose()
        await self.rig.check()

    async def _act(self, what: str, argument: Any) -> None:
        rig = self.rig
        stream = rig.stream(argument % rig.logs if isinstance(argument, int) else 0)
        match what:
            case "write":
                await rig.write(argument, key=str(argument))
            case "crash":
                crash_at(argument)
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
                await rig.settle()

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


actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 30)),
        st.tuples(st.just("settle"), st.just(0)),
        st.tuples(st.just("crash"), st.sampled_from(POINTS)),
        st.tuples(st.sampled_from(["flush", "trim", "lose", "terminate"]), st.integers(0, 3)),
    ),
    min_size=4,
    max_size=12,
)


@pytest.fixture(params=[1, 4], ids=["1-log", "4-logs"])
def chaos(database: Database, redis_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[asyncio.Runner, Chaos]]:
    """One database and one Redis for all examples, on a loop of their own."""
    with asyncio.Runner() as runner:
        rig = Rig(database, redis_url, logs=request.param)
        runner.run(rig.__aenter__())
        yield runner, Chaos(rig)
        runner.run(rig.__aexit__())


LEAN = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


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
@settings(LEAN, max_examples=400)
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
