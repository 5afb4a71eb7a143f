"""Following a log: dense and in order, whatever Redis does."""

import asyncio
import contextlib
import signal

import pytest

from services.embedded import Redis
from shared.eventlog.entries import Entry, floor
from shared.eventlog.installation import open_epoch
from shared.eventlog.position import Position
from shared.eventlog.tail import BehindFloor, EpochChanged, Tail
from tests.eventlog.rig import PATIENCE, Rig, take, until
from tests.servers import Database

pytestmark = pytest.mark.both_redis


def dense(entries: list[Entry], first: int, last: int) -> None:
    assert [entry.seq for entry in entries] == list(range(first, last + 1))


async def drawn_to_redis(rig: Rig, tail: Tail) -> None:
    """Writes until the tail reads from Redis."""
    async with asyncio.timeout(PATIENCE):
        while tail.source != "redis":
            await rig.write()
            await anext(tail)


async def test_a_tail_without_a_start_begins_at_the_head(rig: Rig) -> None:
    async with rig.running():
        await rig.write(5)
        await rig.settle()
        tail = rig.tail()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(tail)
        assert tail.position == await rig.head()
        assert (tail.source, tail.meeting.fresh, tail.pg_head) == ("redis", True, 5)
        await rig.write(2)
        dense(await take(tail, 2), 6, 7)


async def test_a_tail_goes_on_from_its_start(any_rig: Rig) -> None:
    async with any_rig.running():
        for n in range(40):
            await any_rig.write(2, key=str(n))
        await any_rig.settle()
        for log in range(any_rig.logs):
            head = await any_rig.head(log)
            for redis in (True, False):
                tail = any_rig.tail(log, start=Position(head.epoch, 3), redis=redis)
                assert await take(tail, head.seq - 3) == (await any_rig.log(log))[3:]
                assert tail.position == head


async def test_giving_up_a_step_loses_nothing(rig: Rig) -> None:
    async with rig.running():
        tail = rig.tail(start=await rig.head())
        seen: list[Entry] = []
        for n in range(60):
            if n % 3 == 0:
                await rig.write()
            try:
                async with asyncio.timeout(0.001 * (n % 7)):
                    seen += await anext(tail)
            except TimeoutError:
                pass
        await rig.settle()
        seen += await take(tail, (await rig.head()).seq - len(seen))
        assert seen == await rig.log()


async def test_holes_in_the_stream_are_filled_from_postgres(rig: Rig) -> None:
    async with rig.running():
        await rig.write(20)
        await rig.settle()
        epoch = await rig.epoch()
        await rig.stream().erase([Position(epoch, seq) for seq in (1, 5, 6, 19)])
        tail = rig.tail(start=Position(epoch, 0))
        assert await take(tail, 20) == await rig.log()
        assert tail.source == "redis"


async def test_a_stream_cut_back_before_the_tail_is_filled_from_postgres(rig: Rig) -> None:
    async with rig.running():
        await rig.write(3000)
        await rig.settle()
        await rig.redis.xtrim(rig.stream().key, maxlen=10, approximate=False)
        tail = rig.tail(start=Position(await rig.epoch(), 2))
        dense(await take(tail, 2998), 3, 3000)
        assert tail.source == "redis"


async def test_an_entry_missing_at_the_end_of_the_stream_is_fetched_from_postgres(rig: Rig) -> None:
    async with rig.running():
        await rig.write(4)
        await rig.settle()
        epoch = await rig.epoch()
        await rig.stream().erase([Position(epoch, 4)])
        tail = rig.tail(start=Position(epoch, 3))
        dense(await take(tail, 1), 4, 4)
        await drawn_to_redis(rig, tail)


async def test_a_redacted_entry_comes_as_its_tombstone(rig: Rig) -> None:
    async with rig.running():
        await rig.write(3, tag="secret")
        await rig.settle()
        await rig.pool.fetchval("SELECT eventlog.redact(0::smallint, 2)")
        await rig.settle()
        await until(lambda: absent(rig, 2))
        for redis in (True, False):
            entries = await take(rig.tail(start=Position(await rig.epoch(), 0), redis=redis), 4)
            assert [entry.type for entry in entries] == ["thing.happened", "redacted", "thing.happened", "log.redacted"]
            assert entries[1].payload == b"{}"


async def absent(rig: Rig, seq: int) -> bool:
    return Position(await rig.epoch(), seq) not in await rig.streamed()


async def test_a_tail_notices_when_redis_takes_nothing_more(rig: Rig) -> None:
    async with rig.running():
        tail = rig.tail(start=await rig.head())
        await drawn_to_redis(rig, tail)
        before = tail.position.seq
        await rig.redis.config_set("maxmemory", 1)
        try:
            await rig.write(3)
            dense(await take(tail, 3), before + 1, before + 3)
            assert (tail.source, tail.meeting.fresh) == ("postgres", True)
        finally:
            await rig.redis.config_set("maxmemory", 0)
        await drawn_to_redis(rig, tail)
        await until(rig.is_settled)


async def test_a_redis_of_somebody_else_is_not_read(rig: Rig) -> None:
    async with rig.running():
        await rig.write(2)
        await rig.settle()
    await rig.redis.set(rig.stream().install_key, "somebody else")
    await rig.redis.xadd(
        rig.stream().key,
        {"i": 1, "t": "lie", "a": "2026-11-28T12:00:00.000Z", "c": "", "p": "{}"},
        f"{await rig.epoch()}-3",
    )
    tail = rig.tail(start=Position(await rig.epoch(), 0))
    dense(await take(tail, 2), 1, 2)
    assert tail.source == "postgres"


async def test_a_new_epoch_ends_the_tail(rig: Rig) -> None:
    async with rig.running():
        for redis in (True, False):
            tail = rig.tail(redis=redis, start=await rig.head())
            await rig.write()
            await take(tail, 1)
            opened = await open_epoch(rig.pool, expected=None, reason="a test")
            await rig.write(2)
            for _ in range(2):  # again and again
                with pytest.raises(EpochChanged) as changed:
                    await take(tail, 1_000)
                assert changed.value.new_epoch == opened
            again = rig.tail(start=Position(opened, tail.position.seq), redis=redis)
            await rig.settle()
            assert (await take(again, (await rig.head()).seq - tail.position.seq))[-1] == (await rig.log())[-1]


@pytest.mark.parametrize("redis", [True, False], ids=["with Redis", "without"])
async def test_who_is_beyond_postgres_s_head_has_not_met_it(rig: Rig, redis: bool) -> None:
    """A pooler leads to a standby that lacks the last entries, and nobody has opened an epoch yet: pages that were read
    from the dead primary are kept in memory for as long as a tail is fresh."""
    async with rig.running():
        tail = rig.tail(redis=redis, start=await rig.head())
        await rig.write(3)
        dense(await take(tail, 3), 1, 3)
        await rig.write(2)
        dense(await take(tail, 2), 4, 5)

    async def becomes(fresh: bool) -> None:
        async with asyncio.timeout(PATIENCE):
            while tail.meeting.fresh is not fresh:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await anext(tail)

    await becomes(True)
    await rig.pool.execute("DELETE FROM eventlog.tick WHERE seq > 3")
    await becomes(False)
    for _ in range(12):  # more than a second's looks at the head
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(tail)
        assert not tail.meeting.fresh
    assert tail.pg_head == 3


async def test_a_tail_of_an_old_epoch_does_not_begin(rig: Rig) -> None:
    with pytest.raises(EpochChanged):
        await anext(rig.tail(start=Position(await rig.epoch() - 1, 0)))
    with pytest.raises(LookupError):
        await anext(rig.tail(7))


async def test_what_retention_took_is_said_and_not_skipped(rig: Rig) -> None:
    async with rig.running():
        await rig.write(5)
        await rig.settle()
    await rig.pool.execute("DELETE FROM eventlog.entry WHERE seq <= 3; UPDATE eventlog.retained SET floor = 4")
    await rig.redis.flushall()
    with pytest.raises(BehindFloor) as behind:
        await take(rig.tail(start=Position(await rig.epoch(), 1)), 1)
    assert behind.value.floor == await floor(rig.pool, 0) == 4
    dense(await take(rig.tail(start=Position(await rig.epoch(), 3)), 2), 4, 5)


@pytest.mark.parametrize("end", ["stopped", "killed", "paused"])
async def test_a_tail_carries_on_without_redis_and_comes_back(database: Database, own_redis: Redis, end: str) -> None:
    async with Rig(database, own_redis.url) as rig, rig.running():
        tail = rig.tail(start=await rig.head())
        await drawn_to_redis(rig, tail)
        before = tail.position.seq
        if end == "stopped":
            own_redis.stop()
        else:
            own_redis.send(signal.SIGKILL if end == "killed" else signal.SIGSTOP)
        for n in range(1, 4):
            await rig.write()
            dense(await take(tail, 1), before + n, before + n)
        assert tail.source == "postgres"
        if end == "paused":
            own_redis.send(signal.SIGCONT)
        else:
            own_redis.stop()
            own_redis.start()
        await drawn_to_redis(rig, tail)
        await rig.settle()
        await rig.check()
