"""Days while people write: one is dropped behind a long writer, another comes without a partition; nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from services.doctor.database import _days
from shared.eventlog import retention
from shared.eventlog.entries import entry_of, read_rows
from shared.eventlog.position import Position
from shared.eventlog.retention import keep_days
from shared.eventlog.tail import Tail
from shared.settings import Common
from tests.eventlog.rig import Rig, take, until
from tests.eventlog.test_publishing_door import opened
from tests.eventlog.test_retention import DAY, KEEP, age, days, numbered, today

_INTO = """INSERT INTO eventlog.event (log, at, type, channels, payload)
VALUES (0, $1, 'thing.happened', '{post:1}', '{}') RETURNING id"""
OLD = 6 * DAY


@asynccontextmanager
async def long_writer(rig: Rig) -> AsyncIterator[tuple[asyncpg.transaction.Transaction, int]]:
    """A transaction that appended six days ago and is open still: its event lies in that day."""
    writer = await rig.connect(rig.database.url_direct)
    transaction = writer.transaction()
    await transaction.start()
    yield transaction, await writer.fetchval(_INTO, today() - OLD)


async def waits_for_a_lock(rig: Rig) -> bool:
    """Whether somebody waits to take the log's tables for himself."""
    return bool(
        await rig.pool.fetchval(
            """SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'
               AND relation = 'eventlog.event'::regclass"""
        )
    )


@pytest.fixture
async def old_day(dry_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A day six days ago that nobody needs, and tries that wait for their lock as long as the test takes."""
    monkeypatch.setattr(retention, "LOCK_TIMEOUT", "15s")
    monkeypatch.setattr(retention, "TRIES", 1)
    await numbered(dry_rig, 5)
    await age(dry_rig, OLD)
    return dry_rig


async def test_a_day_dropped_behind_a_long_writer_stays_with_what_he_commits(old_day: Rig) -> None:
    rig = old_day
    async with long_writer(rig) as (transaction, event):
        dropping = asyncio.create_task(keep_days(rig.pool, now=today(), keep=KEEP))
        await until(lambda: waits_for_a_lock(rig))  # it has looked, found nothing in the way, and waits
        await transaction.commit()
        assert (today() - OLD).date() not in await dropping
    async with rig.running():
        tail = rig.tail(start=Position(await rig.epoch(), 5), redis=False)
        assert [entry.event_id for entry in await take(tail, 1)] == [event]
        await rig.settle()
        await tail.aclose()
    await rig.check()
    # Numbered just now, it is kept from now on; and goes with its day when its time has come.
    assert (today() - OLD).date() not in await keep_days(rig.pool, now=today(), keep=KEEP)
    assert (today() - OLD).date() in await keep_days(rig.pool, now=today() + 4 * DAY, keep=KEEP)


async def test_a_day_dropped_behind_a_writer_who_gives_up_goes(old_day: Rig) -> None:
    async with long_writer(old_day) as (transaction, _):
        dropping = asyncio.create_task(keep_days(old_day.pool, now=today(), keep=KEEP))
        await until(lambda: waits_for_a_lock(old_day))
        await transaction.rollback()
        assert (today() - OLD).date() in await dropping
    async with old_day.running():
        await old_day.write(2)
        await old_day.settle()
    assert [entry.seq for entry in await old_day.log()] == [6, 7]


async def test_what_is_appended_into_a_day_that_is_gone_is_numbered_all_the_same(old_day: Rig) -> None:
    rig = old_day
    assert (today() - OLD).date() in await keep_days(rig.pool, now=today(), keep=KEEP)
    owner = await rig.connect(rig.database.url_direct)
    event = await owner.fetchval(_INTO, today() - OLD)  # a clock that went back
    async with rig.running():
        tail = rig.tail(start=Position(await rig.epoch(), 5), redis=False)
        assert [entry.event_id for entry in await take(tail, 1)] == [event]
        await tail.aclose()
    assert "not empty" in str(await _days(owner, Common()))


async def without_days(rig: Rig) -> None:
    """Nobody made any day for a week, and this is the first one that lacks."""
    for day in await days(rig):
        name = day.strftime("%Y%m%d")
        await rig.pool.execute(f"DROP TABLE eventlog.event_{name}, eventlog.entry_{name}")


async def test_without_a_partition_for_the_day_nothing_is_lost_and_both_doctor_and_metrics_say_so(rig: Rig) -> None:
    await without_days(rig)
    tails = [rig.tail(start=Position(await rig.epoch(), 0), redis=redis) for redis in (True, False)]
    async with rig.running(), opened(rig, rig.sequencer()) as http:
        written = 0
        writing = asyncio.Event()

        async def write() -> None:
            nonlocal written
            while not writing.is_set():
                await rig.write(3)
                written += 3

        task = asyncio.create_task(write())
        for tail in tails:
            await take_at_least(tail, 30)
        owner = await rig.connect(rig.database.url_direct)
        assert [finding.ok for finding in await _days(owner, Common())] == [False, False]
        said = (await http.get("/metrics")).text
        assert "\nchorus_log_days_ahead 0.0\n" in said
        assert "\nchorus_log_default_partition_used 1.0\n" in said

        await keep_days(rig.pool, now=today(), keep=KEEP)  # under the writers
        await take_at_least(tails[0], 30)
        writing.set()
        await task
        await rig.settle()
        assert [finding.ok for finding in await _days(owner, Common())] == [True, True]
        said = (await http.get("/metrics")).text
        assert "\nchorus_log_days_ahead 7.0\n" in said
        assert "\nchorus_log_default_partition_used 0.0\n" in said
        for tail in tails:
            while tail.position.seq < written:
                await take_at_least(tail, 1)
            await tail.aclose()
    assert (await rig.head()).seq == written
    await rig.check()


@pytest.mark.parametrize("planned", [False, True], ids=["for the first time", "again"])
async def test_who_reads_while_a_day_is_made_of_what_lay_aside_misses_nothing(dry_rig: Rig, planned: bool) -> None:
    await without_days(dry_rig)
    async with dry_rig.running():
        await dry_rig.write(5)
        await dry_rig.settle()
    before = await dry_rig.log()
    owner = await dry_rig.connect(dry_rig.database.url_direct)
    reader, redacting = [await dry_rig.connect(dry_rig.database.url_direct) for _ in range(2)]
    redact = "SELECT eventlog.redact_on_channel(0::smallint, 0, 10, 'post:1', '{thing.written}', '')"
    for _ in range(8 if planned else 0):  # from the sixth on a plan may be kept
        await read_rows(reader, 0, 0, 2**62, 10)
    async with owner.transaction():
        await owner.execute("SELECT eventlog.make_day($1)", today().date())
        reading = asyncio.create_task(read_rows(reader, 0, 0, 2**62, 10))
        looking = asyncio.create_task(redacting.fetchval(redact))
        await until(lambda: wait_for_the_log(dry_rig, 2))
    assert [entry_of(row) for row in await reading] == before
    assert await looking == 5


async def wait_for_the_log(rig: Rig, sessions: int) -> bool:
    """So many sessions wait for a table of the log."""
    waiting = await rig.pool.fetchval(
        """SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND locktype = 'relation'
           AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace)"""
    )
    return bool(waiting == sessions)


async def take_at_least(tail: Tail, count: int) -> None:
    """At least that many entries, each following the one before."""
    async with asyncio.timeout(20):
        while count > 0:
            before = tail.position.seq
            batch = await anext(tail)
            assert [entry.seq for entry in batch] == list(range(before + 1, before + 1 + len(batch)))
            count -= len(batch)
