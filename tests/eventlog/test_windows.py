"""Single moments of numbering that random ones meet too seldom: what runs beside a batch, and what holds it back."""

import asyncio

import asyncpg
import pytest

from shared.eventlog import outbox
from shared.eventlog.installation import open_epoch
from shared.eventlog.outbox import Draft
from shared.events import PostDeleted
from tests.eventlog.rig import Connection, Rig, append, until
from tests.eventlog.test_numbering import number

_NUMBER = "SELECT * FROM eventlog.number(0::smallint, $1, 10)"


async def begun(session: Connection) -> asyncpg.transaction.Transaction:
    """A transaction of a numberer that has its snapshot."""
    transaction = session.transaction(isolation="repeatable_read")
    await transaction.start()
    await session.fetchval("SELECT 1")
    return transaction


async def test_what_was_rolled_back_took_its_events_with_it(dry_rig: Rig) -> None:
    writer = await dry_rig.connect()
    given_up = writer.transaction()
    await given_up.start()
    event = PostDeleted(post_id="12", version=1)
    await outbox.append(writer, key="12", event=event, channels=["post:12"])
    await outbox.append_many(writer, [Draft("12", event, ["post:12"])])
    await given_up.rollback()
    assert await dry_rig.pool.fetchval("SELECT count(*) FROM eventlog.event") == 0


async def test_a_transaction_that_began_beside_a_batch_is_in_the_next_one(dry_rig: Rig) -> None:
    session, beside = await dry_rig.numberer(), await dry_rig.connect()
    before = await dry_rig.write()
    batch = await begun(session)
    written = await append(beside)  # its xid is the batch's xmax
    assert await number(session, dry_rig) == before
    await batch.commit()
    assert await number(session, dry_rig) == [written]


async def test_events_are_numbered_in_the_order_of_their_ids_whatever_their_transactions(dry_rig: Rig) -> None:
    session, older, newer = await dry_rig.numberer(), await dry_rig.connect(), await dry_rig.connect()
    async with older.transaction():
        await older.fetchval("SELECT pg_current_xact_id()")
        async with newer.transaction():
            first = await append(newer)
        second = await append(older)  # as after a wait for the row that the newer one had locked
    assert await number(session, dry_rig) == [first, second]
    await dry_rig.check()


async def test_an_epoch_opened_beside_a_batch_takes_the_batch_back(dry_rig: Rig) -> None:
    session = await dry_rig.numberer()
    await dry_rig.write()
    left = await dry_rig.epoch()
    batch = await begun(session)
    opened = await open_epoch(dry_rig.pool, expected=left, reason="a test")
    with pytest.raises(asyncpg.SerializationError):
        await session.fetch(_NUMBER, left)
    await batch.rollback()
    assert len(await number(session, dry_rig)) == 1
    assert await dry_rig.pool.fetch("SELECT DISTINCT epoch FROM eventlog.entry") == [(opened,)]


async def test_two_sequencers_with_different_windows_never_both_number(dry_rig: Rig) -> None:
    late, prompt, slow = await dry_rig.numberer(), await dry_rig.numberer(), await dry_rig.connect()
    async with slow.transaction():
        first = await append(slow)
        second = await dry_rig.write()
        batch = await begun(late)  # sees the second alone, and would give it the first's number
    assert await number(prompt, dry_rig) == [first, *second]
    with pytest.raises(asyncpg.UniqueViolationError):
        await late.fetch(_NUMBER, await dry_rig.epoch())
    await batch.rollback()
    await dry_rig.check()


async def test_a_batch_is_on_disk_whatever_its_session_was_told(dry_rig: Rig) -> None:
    session = await dry_rig.connect(dry_rig.database.url_direct, synchronous_commit="off")
    await dry_rig.write()
    async with session.transaction(isolation="repeatable_read"):
        await number(session, dry_rig)
        assert await session.fetchval("SHOW synchronous_commit") == "on"


async def test_as_of_is_of_the_statement_s_snapshot_however_long_the_statement_waits(dry_rig: Rig) -> None:
    session, holder, reader = await dry_rig.numberer(), await dry_rig.connect(), await dry_rig.connect()
    await dry_rig.write()
    await holder.execute("SELECT pg_advisory_lock(77)")
    reading = asyncio.create_task(
        reader.fetchrow(
            """WITH waited AS MATERIALIZED (SELECT pg_advisory_xact_lock(77))
               SELECT eventlog.head_cursor()::jsonb -> 'seq' ->> 0 AS head,
                      (SELECT count(*) FROM eventlog.entry)::text AS entries FROM waited"""
        )
    )
    await until(lambda: waits(dry_rig))
    await number(session, dry_rig)
    await holder.execute("SELECT pg_advisory_unlock(77)")
    assert tuple(await reading or ()) == ("0", "0")


async def waits(rig: Rig) -> bool:
    waiting: bool = await rig.pool.fetchval(
        """SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted
                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
    )
    return waiting


async def test_a_stream_s_key_is_hash_tagged(rig: Rig) -> None:
    async with rig.running():
        await rig.write()
        await rig.settle()
    assert await rig.redis.xlen("chorus:log:{0}") == 1
