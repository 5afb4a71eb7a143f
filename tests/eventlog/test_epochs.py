"""When Postgres may have lost history: a new epoch for all logs, once, and nothing numbered twice."""

from services.embedded import Postgres
from shared.eventlog.installation import open_epoch
from shared.eventlog.position import Position
from tests.eventlog.rig import Rig, take, until
from tests.servers import Database, fresh_database


async def epochs(rig: Rig) -> set[int]:
    return {row[0] for row in await rig.pool.fetch("SELECT epoch FROM eventlog.head")}


async def test_the_same_server_keeps_its_epoch(any_rig: Rig) -> None:
    before = await any_rig.epoch()
    for _ in range(2):
        async with any_rig.running():
            await any_rig.write()
            await any_rig.settle()
    assert await epochs(any_rig) == {before}


async def test_another_timeline_opens_one_epoch_for_all_logs(any_rig: Rig) -> None:
    async with any_rig.running():
        for n in range(12):
            await any_rig.write(key=str(n))
        await any_rig.settle()
        before = await any_rig.epoch()
        seqs = [(await any_rig.head(log)).seq for log in range(any_rig.logs)]
    await any_rig.pool.execute("UPDATE eventlog.installation SET timeline = 'FFFFFFFF'")
    async with any_rig.running():
        await any_rig.settle()
        await until(lambda: in_epoch(any_rig, before + 1))
        assert len(await epochs(any_rig)) == 1
        assert [(await any_rig.head(log)).seq for log in range(any_rig.logs)] == seqs
        for n in range(12):
            await any_rig.write(key=str(n))
        await any_rig.settle()
    assert await any_rig.pool.fetchval("SELECT count(*) FROM eventlog.epoch") == 2
    await any_rig.check()


async def test_an_epoch_never_repeats(rig: Rig) -> None:
    minutes = await rig.pool.fetchval("SELECT eventlog.minutes_since_2020()")
    first = await open_epoch(rig.pool, expected=None, reason="a test")
    assert first >= minutes
    second = await open_epoch(rig.pool, expected=first, reason="a test")
    assert second > first
    assert await open_epoch(rig.pool, expected=first, reason="late") == second
    assert await open_epoch(rig.pool, expected=second, redis_epoch=second + 70, reason="a test") == second + 71
    await rig.pool.execute("UPDATE eventlog.log SET epoch = 5; DELETE FROM eventlog.epoch")
    assert await open_epoch(rig.pool, expected=5, reason="a clock went on") >= minutes


async def test_redis_ahead_of_postgres_opens_an_epoch_after_its_own(any_rig: Rig) -> None:
    async with any_rig.running():
        await any_rig.write(4)
        await any_rig.settle()
        before = await any_rig.epoch()
        await any_rig.redis.xadd(any_rig.stream().key, {"i": 9}, f"{before + 3}-1")
        await until(lambda: in_epoch(any_rig, before + 4))
        await any_rig.write(2)
        await any_rig.settle()
    assert len(await epochs(any_rig)) == 1
    await any_rig.check()


async def in_epoch(rig: Rig, least: int) -> bool:
    return await rig.epoch() >= least


async def test_a_restored_database_goes_on_under_a_new_epoch(
    postgres_server: Postgres, database: Database, redis_url: str
) -> None:
    async with Rig(database, redis_url) as rig:
        async with rig.running():
            await rig.write(5, tag="kept")
            await rig.settle()
        await rig.write(2, tag="not numbered yet")
    with fresh_database(postgres_server, database.name) as backup:
        async with Rig(database, redis_url) as rig, rig.running():
            await rig.write(4, tag="after the backup")
            await rig.settle()
            lost = await rig.head()
        async with Rig(backup, redis_url) as rig, rig.running():
            await rig.settle()
            head = await rig.head()
            assert (head.epoch > lost.epoch, head.seq) == (True, 7)
            assert [p.epoch for p in await rig.streamed()] == [head.epoch] * 7
            tail = rig.tail(start=head)
            await rig.write(3)
            assert [entry.seq for entry in await take(tail, 3)] == [8, 9, 10]
            await rig.settle()
            await rig.check()


async def test_after_a_dump_and_restore_xids_of_the_old_server_are_no_new_events(rig: Rig) -> None:
    async with rig.running():
        await rig.write(5)
        await rig.settle()
    await rig.write(3)
    await rig.pool.execute("UPDATE eventlog.event SET xid = (2^40 + id)::text::xid8")
    await rig.pool.execute("UPDATE eventlog.entry x SET xid = e.xid FROM eventlog.event e WHERE e.id = x.event_id")
    await rig.pool.execute("UPDATE eventlog.tick SET snapshot = '1099511627000:1099511627000:'")
    await rig.pool.execute("UPDATE eventlog.installation SET system = 'the old one'")
    async with rig.running():
        await rig.settle()
        await rig.write(2)
        await rig.settle()
    assert (await rig.head()).seq == 10
    await rig.check()


async def test_sequencers_of_other_logs_follow_into_the_epoch(database: Database, redis_url: str) -> None:
    async with Rig(database, redis_url, logs=4) as rig, rig.running():
        await rig.settle()
        opened = await open_epoch(rig.pool, expected=await rig.epoch(), reason="a restore")
        for n in range(12):
            await rig.write(key=str(n))
        await rig.settle()
        for log in range(4):
            assert {position.epoch for position in await rig.streamed(log)} <= {opened}
        await rig.check()


async def test_an_epoch_opened_under_a_refill_restarts_it(rig: Rig) -> None:
    async with rig.running():
        await rig.write(4000)
        await rig.settle()
        await rig.redis.flushall()
        opened = await open_epoch(rig.pool, expected=await rig.epoch(), reason="a test")
        await rig.settle()
    assert list(await rig.streamed()) == [Position(opened, seq) for seq in range(1, 4001)]
