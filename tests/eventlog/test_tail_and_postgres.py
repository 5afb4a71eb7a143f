"""Following a log while Postgres is away, or while a restore replaces what is read."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from services.embedded import Postgres
from shared.eventlog import tail as tails
from shared.eventlog.entries import Entry
from shared.eventlog.position import Position
from shared.eventlog.tail import Tail
from shared.postgres import POSTGRES_AWAY, migrate
from tests.eventlog.rig import PATIENCE, Rig, take, until
from tests.eventlog.test_tail import dense, drawn_to_redis
from tests.servers import Database

pytestmark = pytest.mark.both_redis


async def test_everything_goes_on_after_postgres_was_away(own_postgres: Postgres, redis_url: str) -> None:
    await migrate(own_postgres.url())
    database = Database(
        "chorus", own_postgres.url("chorus_feed"), own_postgres.url("chorus_notify"), own_postgres.url()
    )
    async with Rig(database, redis_url) as rig, rig.running():
        tail = rig.tail(start=await rig.head())
        await drawn_to_redis(rig, tail)
        before = tail.position.seq
        step = asyncio.create_task(take(tail, 2))
        own_postgres.stop()
        await asyncio.sleep(0)
        assert not step.done()
        own_postgres.start()
        await until(lambda: writes(rig))
        dense(await step, before + 1, before + 2)
        await rig.settle()
        await rig.check()


async def writes(rig: Rig) -> bool:
    try:
        return len(await rig.write(2)) == 2
    except POSTGRES_AWAY:
        return False


@pytest.mark.parametrize(("kind", "name"), [("view", "head"), ("function", "read")])
async def test_what_a_restore_is_just_replacing_ends_a_tail_only_when_it_stays_away(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    async def rename(old: str, new: str) -> None:
        await rig.pool.execute(f"alter {kind} eventlog.{old} rename to {new}")

    async def missed_once(tail: Tail) -> None:
        monkeypatch.setattr(tails, "PAUSE", PATIENCE)
        with capture_logs() as lines:
            step = asyncio.create_task(anext(tail))
            await until(lambda: told_or_done(lines, step))
        step.cancel()
        await asyncio.wait([step])
        assert step.cancelled()
        monkeypatch.setattr(tails, "PAUSE", 0.01)

    async def told_or_done(lines: Sequence[Mapping[str, Any]], step: asyncio.Task[list[Entry]]) -> bool:
        return step.done() or any(line["event"] == "tail_without_postgres" for line in lines)

    async with rig.running():
        await rig.write(3)
        await rig.settle()
    start = Position((await rig.head()).epoch, 0)
    passing, staying = (rig.tail(start=start, redis=False) for _ in range(2))
    await rename(name, "elsewhere")
    await missed_once(passing)
    await missed_once(staying)
    with pytest.raises(asyncpg.SyntaxOrAccessError):
        async with asyncio.timeout(10):
            await anext(staying)
    await rename("elsewhere", name)
    dense(await take(passing, 3), 1, 3)
