"""One stream: what a page may be appended to, and how whatever Redis lost is mended."""

import asyncio

import pytest

from shared.eventlog import publisher
from shared.eventlog.entries import read_rows
from shared.eventlog.installation import ForeignRedis, Standing, standing
from shared.eventlog.position import Position
from shared.eventlog.stream import Fenced, Gap
from shared.postgres import Pool
from tests.eventlog.rig import Rig, until

pytestmark = pytest.mark.both_redis


async def numbered(rig: Rig, count: int) -> list[object]:
    """Rows 1 … count, numbered and not published."""
    await rig.write(count)
    session = await rig.numberer()
    await session.fetch("SELECT * FROM eventlog.number(0::smallint, $1, 1)", await rig.epoch())
    return await read_rows(rig.pool, 0, 0, count, count)


async def test_a_page_may_be_appended_twice(rig: Rig) -> None:
    rows, stream = await numbered(rig, 6), rig.stream()
    epoch = await rig.epoch()
    await stream.begin(Position(epoch, 0))
    assert await stream.publish(epoch, 0, rows[:4]) == 4
    assert await stream.publish(epoch, 0, rows[:4]) == 4
    assert await stream.publish(epoch, 2, rows[2:]) == 6
    assert await stream.publish(epoch, 0, rows[:1]) == 6
    assert await stream.last() == Position(epoch, 6)
    assert len(await rig.streamed()) == 6
    await rig.check()


async def test_a_hole_is_refused(rig: Rig) -> None:
    rows, stream = await numbered(rig, 3), rig.stream()
    epoch = await rig.epoch()
    with pytest.raises(Gap):
        await stream.publish(epoch, 0, rows)  # there is no stream to follow
    await stream.begin(Position(epoch, 0))
    with pytest.raises(Gap):
        await stream.publish(epoch, 1, rows[1:])
    with pytest.raises(Gap):
        await stream.publish(epoch + 1, 0, rows)
    assert await stream.last() == Position(epoch, 0)


async def test_an_older_epoch_is_fenced(rig: Rig) -> None:
    rows, stream = await numbered(rig, 3), rig.stream()
    epoch = await rig.epoch()
    await stream.begin(Position(epoch + 1, 2))
    with pytest.raises(Fenced):
        await stream.publish(epoch, 2, rows[2:])
    with pytest.raises(Fenced):
        await stream.begin(Position(epoch, 0))
    assert await stream.last() == Position(epoch + 1, 2)


async def test_scripts_are_sent_again_after_a_restart(rig: Rig) -> None:
    rows, stream = await numbered(rig, 2), rig.stream()
    epoch = await rig.epoch()
    await stream.begin(Position(epoch, 0))
    await stream.publish(epoch, 0, rows[:1])
    await rig.redis.script_flush()
    assert await stream.publish(epoch, 1, rows[1:]) == 2


async def test_what_is_committed_comes_into_the_stream(any_rig: Rig) -> None:
    async with any_rig.running():
        for n in range(30):
            await any_rig.write(3, key=str(n))
        await any_rig.settle()
    await any_rig.check()
    assert sum([len(await any_rig.streamed(log)) for log in range(any_rig.logs)]) == 90


async def test_what_the_stream_shows_is_committed(rig: Rig) -> None:
    stream = rig.stream()

    async def moved() -> bool:
        return (await stream.last() or before) > before

    async with rig.running():
        for _ in range(20):
            before = await rig.head()
            await rig.write()
            await until(moved)
            assert (await stream.last() or before) <= await rig.head()


async def test_what_is_numbered_during_a_comparison_is_published_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "CHECK_EVERY", 3600.0)  # the next comparison would find it
    publishing = publisher.Publisher(0, pool=rig.pool, redis=rig.redis)
    numberer, epoch = await rig.numberer(), await rig.epoch()
    task = asyncio.create_task(publishing.run())
    await until(lambda: has_published(publishing, 0))
    asked = asyncio.Event()

    async def late(pool: Pool, log: int) -> Standing:
        before = await standing(pool, log)
        await rig.write(1)
        publishing.numbered(epoch, await numberer.fetch("SELECT * FROM eventlog.number(0::smallint, $1, 10)", epoch))
        asked.set()
        return before

    monkeypatch.setattr(publisher, "standing", late)
    publishing.compare_soon()
    await asked.wait()
    await until(lambda: has_published(publishing, 1), timeout=10)
    task.cancel()
    await asyncio.wait([task])
    await rig.check()


async def has_published(publishing: publisher.Publisher, seq: int) -> bool:
    return publishing.published == seq


async def test_a_flushed_redis_is_refilled_with_the_same_ids_and_bytes(any_rig: Rig) -> None:
    async with any_rig.running():
        for n in range(25):
            await any_rig.write(100, key=str(n))
        await any_rig.settle()
        before = [await any_rig.redis.xrange(any_rig.stream(log).key) for log in range(any_rig.logs)]
        await any_rig.redis.flushall()
        await any_rig.settle()
        after = [await any_rig.redis.xrange(any_rig.stream(log).key) for log in range(any_rig.logs)]
    assert before == after
    assert sum(map(len, after)) == 2500
    await any_rig.check()


async def test_a_stream_from_a_stale_replica_is_caught_up(rig: Rig) -> None:
    async with rig.running():
        await rig.write(4)
        await rig.settle()
        stale = await rig.redis.dump(rig.stream().key)
        await rig.write(4)
        await rig.settle()
        await rig.redis.restore(rig.stream().key, 0, stale, replace=True)
        await rig.settle()
    assert len(await rig.streamed()) == 8
    await rig.check()


async def test_cutting_a_stream_back_is_no_loss_of_place(rig: Rig) -> None:
    async with rig.running():
        await rig.write(10)
        await rig.settle()
        await rig.redis.xtrim(rig.stream().key, maxlen=0, approximate=False)
        await rig.write(1)
        await rig.settle()
    assert list(await rig.streamed()) == [Position(await rig.epoch(), 11)]
    await rig.check()


async def test_a_stream_has_bounded_length_also_when_refilled(rig: Rig) -> None:
    sequencer = rig.sequencer(max_length=500)
    async with rig.running(sequencer):
        for _ in range(4):
            await rig.write(500)
        await rig.settle()
        assert 500 <= await rig.redis.xlen(rig.stream().key) <= 700
        await rig.redis.flushall()
        await rig.settle()
        assert [seq for _, seq in await rig.streamed()] == list(range(1501, 2001))


async def test_numbering_goes_on_while_redis_refuses_everything(rig: Rig) -> None:
    async with rig.running():
        await rig.write(2)
        await rig.settle()
        await rig.redis.config_set("maxmemory", 1)
        try:
            await rig.write(5)
            await until(lambda: reaches(rig, 7))
            assert await rig.stream().last() == Position(await rig.epoch(), 2)
        finally:
            await rig.redis.config_set("maxmemory", 0)
        await rig.settle()
    await rig.check()


async def reaches(rig: Rig, seq: int) -> bool:
    return (await rig.head()).seq >= seq


async def test_redis_of_another_installation_is_refused_at_the_start(rig: Rig) -> None:
    await rig.redis.set(rig.stream().install_key, "somebody else")
    await rig.write()
    with pytest.raises(ForeignRedis):
        async with asyncio.timeout(10):
            await rig.sequencer().run()
    assert (await rig.head()).seq == 0
    assert await rig.stream().last() is None


async def test_redis_of_another_installation_gets_nothing_later_either(rig: Rig) -> None:
    async with rig.running():
        await rig.write()
        await rig.settle()
        await rig.redis.flushall()
        await rig.redis.set(rig.stream().install_key, "somebody else")
        await rig.write()
        await until(lambda: reaches(rig, 2))
        assert await rig.stream().last() is None
        await rig.redis.delete(rig.stream().install_key)
        await rig.settle()
    await rig.check()


async def test_a_stream_that_nobody_numbered_is_refused(rig: Rig) -> None:
    await rig.redis.xadd(rig.stream().key, {"x": "y"})
    with pytest.raises(ForeignRedis):
        async with asyncio.timeout(10):
            await rig.sequencer().run()


async def test_redacted_words_leave_the_stream_and_stay_away(rig: Rig) -> None:
    async with rig.running():
        await rig.write(3, tag="secret")
        await rig.settle()
        await rig.pool.fetchval("SELECT eventlog.redact(0::smallint, 2)")
        await until(lambda: erased(rig, 2))
        await rig.settle()
        tombstone = (await rig.log())[1]
        assert tombstone[2:] == ("redacted", tombstone.at, ("post:1", "topic:t"), b"{}")
        assert (await rig.log())[3].type == "log.redacted"
        await rig.redis.flushall()
        await rig.settle()
        await until(lambda: erased(rig, 2))
    await rig.check()


async def erased(rig: Rig, seq: int) -> bool:
    return Position(await rig.epoch(), seq) not in await rig.streamed()
