"""Days come in advance, and go when they are numbered, old, and passed by everybody."""

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.eventlog import retention
from shared.eventlog.entries import floor
from shared.eventlog.position import Position
from shared.eventlog.retention import keep_days
from shared.eventlog.tail import BehindFloor
from shared.postgres import Connection, Pool, transaction
from tests.eventlog.rig import Rig, append, take

DAY = datetime.timedelta(days=1)
KEEP = 3 * DAY


def today() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(hour=12)


async def days(rig: Rig) -> list[datetime.date]:
    return [row[0] for row in await rig.pool.fetch("SELECT eventlog.days()")]


async def age(rig: Rig, by: datetime.timedelta) -> None:
    """Everything in the log happened, and was numbered, that much earlier."""
    await rig.pool.execute(
        "SELECT eventlog.make_day((now() AT TIME ZONE 'UTC')::date - n) FROM generate_series(1, 9) n"
    )
    for table, columns in (
        ("event", "at = at - $1::interval"),
        ("entry", "at = at - $1::interval, numbered_at = numbered_at - $1::interval"),
    ):
        await rig.pool.execute(f"UPDATE eventlog.{table} SET {columns}", by)


async def numbered(rig: Rig, count: int) -> None:
    async with rig.running():
        await rig.write(count)
        await rig.settle()


async def test_a_week_is_made_in_advance(dry_rig: Rig) -> None:
    now = today() + 5 * DAY
    await keep_days(dry_rig.pool, now=now, keep=KEEP)
    made = await days(dry_rig)
    assert made[-1] == (now + 7 * DAY).date()
    await keep_days(dry_rig.pool, now=now, keep=KEEP)
    assert await days(dry_rig) == made


async def test_an_old_day_goes_and_the_floor_rises(dry_rig: Rig) -> None:
    await numbered(dry_rig, 5)
    await age(dry_rig, 6 * DAY)
    await numbered(dry_rig, 2)
    dropped = await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert (today() - 6 * DAY).date() in dropped
    assert await floor(dry_rig.pool, 0) == 6
    assert [entry.seq for entry in await dry_rig.log()] == [6, 7]
    epoch = await dry_rig.epoch()
    assert len(await take(dry_rig.tail(start=Position(epoch, 5)), 2)) == 2
    with pytest.raises(BehindFloor):
        await anext(dry_rig.tail(start=Position(epoch, 4)))


async def test_a_day_within_the_time_kept_stays(dry_rig: Rig) -> None:
    await numbered(dry_rig, 5)
    await age(dry_rig, 2 * DAY)
    await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert await floor(dry_rig.pool, 0) == 1
    assert len(await dry_rig.log()) == 5


async def test_a_day_with_events_not_numbered_stays(dry_rig: Rig) -> None:
    await numbered(dry_rig, 5)
    await dry_rig.write()
    await age(dry_rig, 6 * DAY)
    assert (today() - 6 * DAY).date() not in await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert len(await dry_rig.log()) == 5


async def test_a_day_numbered_late_is_kept_from_then(dry_rig: Rig) -> None:
    await dry_rig.write(2)
    await age(dry_rig, 6 * DAY)
    await numbered(dry_rig, 0)
    await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert len(await dry_rig.log()) == 2


async def test_a_day_that_stays_when_a_later_one_goes_is_below_the_floor(dry_rig: Rig) -> None:
    await numbered(dry_rig, 3)
    await age(dry_rig, DAY)
    await numbered(dry_rig, 3)
    await age(dry_rig, 5 * DAY)
    late = "INSERT INTO eventlog.event (log, at, type, channels, payload) VALUES (0, $1, 'late', '{post:1}', '{}')"
    await dry_rig.pool.execute(late, today() - 6 * DAY)
    await numbered(dry_rig, 0)
    dropped = await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert [day in dropped for day in ((today() - 6 * DAY).date(), (today() - 5 * DAY).date())] == [False, True]
    assert await dry_rig.pool.fetchval("SELECT array_agg(seq ORDER BY seq) FROM eventlog.entry") == [1, 2, 3, 7]
    assert await floor(dry_rig.pool, 0) == 7
    assert [entry.seq for entry in await dry_rig.log()] == [7]
    epoch = await dry_rig.epoch()
    for lost in (0, 2, 5):
        with pytest.raises(BehindFloor):
            await anext(dry_rig.tail(start=Position(epoch, lost)))
    assert len(await take(dry_rig.tail(start=Position(epoch, 6)), 1)) == 1


async def test_a_day_that_a_consumer_has_not_passed_stays(dry_rig: Rig) -> None:
    await numbered(dry_rig, 5)
    await age(dry_rig, 6 * DAY)
    notify = await dry_rig.connect(dry_rig.database.url_notify)
    await notify.execute("SELECT eventlog.consumer_passed('notifier', 0::smallint, 4)")
    await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert len(await dry_rig.log()) == 5
    await notify.execute("SELECT eventlog.consumer_passed('notifier', 0::smallint, 5)")
    await notify.execute("SELECT eventlog.consumer_passed('notifier', 0::smallint, 2)")  # never back
    await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert await dry_rig.log() == []


async def test_a_day_that_somebody_still_writes_to_stays_until_later(
    dry_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TRIES", 1)
    await numbered(dry_rig, 5)
    await age(dry_rig, 6 * DAY)
    writer = await dry_rig.connect()
    transaction = writer.transaction()
    await transaction.start()
    await append(writer)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    await dry_rig.write()  # nobody is kept from writing by the try
    await transaction.commit()
    await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert await floor(dry_rig.pool, 0) == 6


async def test_a_try_waits_a_moment_for_its_lock_and_is_made_again(
    dry_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await numbered(dry_rig, 5)
    await age(dry_rig, 6 * DAY)
    writer = await dry_rig.connect()
    held = writer.transaction()
    await held.start()
    await append(writer)
    waits: list[str] = []

    @asynccontextmanager
    async def watched(pool: Pool) -> AsyncIterator[Connection]:
        async with transaction(pool) as connection:
            try:
                yield connection
            except asyncpg.LockNotAvailableError:
                waits.append("refused")
                await held.commit()
                raise
            waits.append(await connection.fetchval("SELECT current_setting('lock_timeout')"))

    monkeypatch.setattr(retention, "transaction", watched)
    await keep_days(dry_rig.pool, now=today(), keep=KEEP)
    assert waits.count("refused") == 1, "the writer was not met"
    assert set(waits) == {"refused", retention.LOCK_TIMEOUT}
    assert await floor(dry_rig.pool, 0) == 6


async def test_what_the_default_partition_caught_moves_to_its_day(dry_rig: Rig) -> None:
    await numbered(dry_rig, 3)
    await dry_rig.write()
    later = today() + 30 * DAY
    await dry_rig.pool.execute("UPDATE eventlog.event SET at = at + $1::interval", 30 * DAY)
    await dry_rig.pool.execute("UPDATE eventlog.entry SET at = at + $1::interval", 30 * DAY)
    before = await dry_rig.log()
    assert await dry_rig.pool.fetchval("SELECT count(*) FROM eventlog.event_default") == 4
    assert await dry_rig.pool.fetchval("SELECT eventlog.make_day($1)", later.date())
    assert await dry_rig.pool.fetchval("SELECT count(*) FROM eventlog.event_default") == 0
    assert await dry_rig.log() == before
    await numbered(dry_rig, 0)
    await dry_rig.check()
