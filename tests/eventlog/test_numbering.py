"""eventlog.number(): what a window is, and who may close it. Postgres alone."""

import re

import asyncpg
import pytest

from tests.eventlog.rig import Connection, Rig, append


async def number(session: Connection, rig: Rig, *, page: int = 1000) -> list[int]:
    rows = await session.fetch("SELECT * FROM eventlog.number(0::smallint, $1, $2)", await rig.epoch(), page)
    return [row["event_id"] for row in rows]


async def test_committed_events_are_numbered_once(dry_rig: Rig) -> None:
    session = await dry_rig.numberer()
    written = await dry_rig.write(3)
    assert await number(session, dry_rig) == written
    assert await number(session, dry_rig) == []
    await dry_rig.check()


async def test_a_late_commit_lands_in_the_next_batch(dry_rig: Rig) -> None:
    session, slow = await dry_rig.numberer(), await dry_rig.connect()
    late = slow.transaction()
    await late.start()
    early_id = await append(slow)
    quick = await dry_rig.write()
    assert early_id < quick[0]
    assert await number(session, dry_rig) == quick
    await late.commit()
    assert await number(session, dry_rig) == [early_id]
    await dry_rig.check()


async def test_a_long_transaction_delays_only_its_own_events(dry_rig: Rig) -> None:
    session, slow = await dry_rig.numberer(), await dry_rig.connect()
    long = slow.transaction()
    await long.start()
    first = await append(slow)
    for _ in range(5):
        written = await dry_rig.write(2)
        assert await number(session, dry_rig) == written
    last = await append(slow)
    await long.commit()
    assert await number(session, dry_rig) == [first, last]
    await dry_rig.check()


async def test_an_xid_from_before_the_snapshot_may_write_after_it(dry_rig: Rig) -> None:
    session, early = await dry_rig.numberer(), await dry_rig.connect()
    transaction = early.transaction()
    await transaction.start()
    await early.fetchval("SELECT pg_current_xact_id()")
    assert await number(session, dry_rig) == []
    before = await dry_rig.write()
    assert await number(session, dry_rig) == before
    written = await append(early)
    await transaction.commit()
    assert await number(session, dry_rig) == [written]


async def test_what_was_rolled_back_is_nowhere_and_leaves_no_hole(dry_rig: Rig) -> None:
    session, writer = await dry_rig.numberer(), await dry_rig.connect()
    given_up = writer.transaction()
    await given_up.start()
    await append(writer)
    await given_up.rollback()
    async with writer.transaction():
        kept = await append(writer)
        savepoint = writer.transaction()
        await savepoint.start()
        await append(writer)
        await savepoint.rollback()
        async with writer.transaction():  # a savepoint that stays
            also_kept = await append(writer)
    assert await number(session, dry_rig) == [kept, also_kept]
    await dry_rig.check()


async def test_the_window_is_numbered_whole_and_only_its_first_page_comes_back(dry_rig: Rig) -> None:
    session = await dry_rig.numberer()
    written = await dry_rig.write(25)
    assert await number(session, dry_rig, page=10) == written[:10]
    assert (await dry_rig.head()).seq == 25
    assert await number(session, dry_rig) == []


async def test_nothing_pending_takes_no_lock(dry_rig: Rig) -> None:
    session, other = await dry_rig.numberer(), await dry_rig.connect(dry_rig.database.url_direct, lock_timeout="1s")
    async with other.transaction():
        await other.execute("SELECT FROM eventlog.log FOR UPDATE")
        assert await number(session, dry_rig) == []
    async with session.transaction(isolation="repeatable_read"):
        assert await number(session, dry_rig) == []
        assert await session.fetchval("SELECT pg_current_xact_id_if_assigned()") is None


async def test_a_sequencer_with_an_older_snapshot_is_not_the_leader(dry_rig: Rig) -> None:
    late, prompt = await dry_rig.numberer(), await dry_rig.numberer()
    await dry_rig.write()
    epoch = await dry_rig.epoch()
    transaction = late.transaction(isolation="repeatable_read")
    await transaction.start()
    await late.fetchval("SELECT 1")
    await number(prompt, dry_rig)
    with pytest.raises(asyncpg.UniqueViolationError):
        await late.fetch("SELECT * FROM eventlog.number(0::smallint, $1, 10)", epoch)
    await transaction.rollback()
    await dry_rig.check()


async def test_another_epoch_is_refused(dry_rig: Rig) -> None:
    session = await dry_rig.numberer()
    await dry_rig.write()
    with pytest.raises(asyncpg.PostgresError) as refused:
        await session.fetch("SELECT * FROM eventlog.number(0::smallint, $1, 10)", await dry_rig.epoch() - 1)
    assert refused.value.sqlstate == "CH001"


async def test_read_committed_is_refused(dry_rig: Rig) -> None:
    session = await dry_rig.connect(dry_rig.database.url_direct)
    await dry_rig.write()
    with pytest.raises(asyncpg.InvalidTransactionStateError):
        await number(session, dry_rig)


async def test_as_of_and_rows_are_of_one_snapshot(dry_rig: Rig) -> None:
    session, reader = await dry_rig.numberer(), await dry_rig.connect()
    await dry_rig.write()
    async with reader.transaction(isolation="repeatable_read"):
        before = await reader.fetchval("SELECT eventlog.head_cursor()")
        await number(session, dry_rig)
        assert await reader.fetchval("SELECT eventlog.head_cursor()") == before
    assert await reader.fetchval("SELECT eventlog.head_cursor()") != before


FORBIDDEN = [
    "SELECT * FROM eventlog.number(0::smallint, 1, 1)",
    "SELECT eventlog.open_epoch(NULL, 0, '')",
    "SELECT eventlog.redact(0::smallint, 1)",
    "SELECT eventlog.drop_day(current_date, now())",
    "INSERT INTO eventlog.event (log, type, channels, payload) VALUES (0, 't', '{}', '{}')",
    "UPDATE eventlog.event SET type = 'x'",
    "DELETE FROM eventlog.entry",
    "UPDATE eventlog.log SET epoch = 0",
    "DELETE FROM eventlog.tick",
]


@pytest.mark.parametrize("role", ["url_feed", "url_notify"])
async def test_services_append_and_read_and_nothing_else(dry_rig: Rig, role: str) -> None:
    service = await dry_rig.connect(getattr(dry_rig.database, role))
    assert await append(service) > 0
    await service.fetch("SELECT * FROM eventlog.read(0::smallint, 0, 10, 10)")
    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(statement)


async def test_what_every_event_costs_is_planned_once_a_session(dry_rig: Rig) -> None:
    """Also once the log has grown: a plan of the moment names the values of the moment."""
    await dry_rig.write(3000)
    await number(await dry_rig.numberer(), dry_rig)
    await dry_rig.pool.execute("ANALYZE eventlog.event, eventlog.entry")  # what autovacuum looks at: a table that grows
    session = await dry_rig.numberer()
    plans: list[str] = []
    session.add_log_listener(lambda _, said: plans.append(str(said)))
    await session.execute("LOAD 'auto_explain'")
    for name, value in (("log_min_duration", "0"), ("log_nested_statements", "on"), ("log_verbose", "on")):
        await session.execute(f"SET auto_explain.{name} = {value}")
    for n in range(10):  # after five Postgres compares what planning costs
        plans.clear()
        await session.execute("SET client_min_messages = " + ("log" if n == 9 else "notice"))
        await append(session, key=f"key-{n}")
        await session.execute("SELECT eventlog.append($1, 'x', '{}', '{}', 'r')", f"key-{n}")
        assert len(await number(session, dry_rig)) == 2
    ours = [plan for plan in plans if "Query Text: INSERT INTO eventlog.event" in plan or "pending AS MAT" in plan]
    assert len(ours) == 3
    for plan in ours:
        assert re.search(r"md5\(\$\d+\)|log = \$\d+\)", plan), plan
