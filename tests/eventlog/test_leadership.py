"""Who leads, who stands by, and what becomes of a leader that wakes up late."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from services.embedded import Child
from shared.eventlog.installation import open_epoch
from shared.eventlog.leadership import LOCKS
from tests.eventlog.rig import Hold, Rig, until
from tests.stack import SECRET

_LEADERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND granted"
_END_LEADERS = """SELECT pg_terminate_backend(l.pid) FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.classid = $1 AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def test_one_leads_and_another_stands_by(rig: Rig) -> None:
    one, two = rig.sequencer(), rig.sequencer()
    async with rig.running(one, two) as tasks:
        await asyncio.wait(
            [asyncio.create_task(each.leading.wait()) for each in (one, two)], return_when="FIRST_COMPLETED"
        )
        leader, standby = (one, two) if one.leading.is_set() else (two, one)
        await rig.write(3)
        await rig.settle()
        assert not standby.leading.is_set()
        tasks[0 if leader is one else 1].cancel()
        await asyncio.wait_for(standby.leading.wait(), 10)
        await rig.write(3)
        await rig.settle()
    await rig.check()


async def test_a_leader_whose_session_was_ended_stands_by_again(rig: Rig) -> None:
    sequencer = rig.sequencer()
    async with rig.running(sequencer):
        await asyncio.wait_for(sequencer.leading.wait(), 10)
        assert await rig.pool.fetchval(_END_LEADERS, LOCKS)
        await rig.write(2)
        await rig.settle()
        assert sequencer.leading.is_set()
    await rig.check()


async def test_a_leader_held_after_numbering_repeats_nothing(rig: Rig) -> None:
    held = Hold("sequencer:numbered")
    async with rig.running(rig.sequencer(), rig.sequencer()):
        await rig.write(3)
        await asyncio.wait_for(held.arrived.wait(), 10)
        await rig.pool.execute(_END_LEADERS, LOCKS)
        await rig.settle()
        held.release()
        await rig.write(3)
        await rig.settle()
    await rig.check()


async def test_a_leader_held_before_publishing_is_fenced_by_the_new_epoch(rig: Rig) -> None:
    held = Hold("sequencer:publishing")
    async with rig.running(rig.sequencer(), rig.sequencer()):
        await rig.write(3)
        await asyncio.wait_for(held.arrived.wait(), 10)
        left = await rig.epoch()
        await rig.pool.execute(_END_LEADERS, LOCKS)
        opened = await open_epoch(rig.pool, expected=left, reason="a test")
        assert opened > left
        await rig.settle()
        held.release()
        await rig.write(3)
        await rig.settle()
    assert {epoch for epoch, _ in await rig.streamed()} == {opened}
    await rig.check()


def publishing(rig: Rig, **settings: str) -> Child:
    """A publishing process beside the rig."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")},
        "CHORUS_DATABASE_URL": rig.database.url_feed,
        "CHORUS_DIRECT_DATABASE_URL": rig.database.url_direct,
        "CHORUS_REDIS_URL": str(rig.redis_url),
        "CHORUS_SECRET_KEY": SECRET,
        **settings,
    }
    return Child([sys.executable, "-m", "services.feed.publish"], env=env)


@pytest.mark.parametrize("point", ["numbering", "numbered", "published"])
async def test_a_process_that_was_told_to_die_at_a_point_does_and_is_mended(
    rig: Rig, point: str, tmp_path: Path
) -> None:
    fired = tmp_path / "fired"
    faults = {"CHORUS_FAULTS": f"sequencer:{point}=kill@2", "CHORUS_FAULTS_LOG": str(fired)}
    child = publishing(rig, **faults)
    try:
        async with asyncio.timeout(30):
            while child.exit_code is None:
                await rig.write(2)
                await asyncio.sleep(0.05)
        assert child.exit_code == -signal.SIGKILL
    finally:
        child.end((signal.SIGTERM, 5))
    [line] = map(json.loads, fired.read_text().splitlines())
    assert (line["point"], line["arrival"], line["pid"]) == (f"sequencer:{point}", 2, child.pid)
    async with rig.running():
        await rig.settle()
    await rig.check()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_process_that_is_killed_or_paused_is_replaced(rig: Rig, number: int) -> None:
    child = publishing(rig)
    try:
        await rig.write(2)
        await rig.settle()
        child.send(number)
        await rig.write(2)
        sequencer = rig.sequencer()
        async with rig.running(sequencer):
            await asyncio.wait_for(sequencer.leading.wait(), 15)
            await rig.settle()
            if number == signal.SIGSTOP:
                child.send(signal.SIGCONT)
            await rig.write(2)
            await rig.settle()
        if number == signal.SIGSTOP:  # awake, and leading again now that nobody else does
            await rig.write(2)
            await rig.settle()
    finally:
        child.end((signal.SIGCONT, 0.01), (signal.SIGTERM, 5))
    await rig.check()


async def test_the_lock_is_one_for_each_log(any_rig: Rig) -> None:
    async with any_rig.running():
        await until(lambda: leaders(any_rig, any_rig.logs))


async def leaders(rig: Rig, count: int) -> bool:
    held: int = await rig.pool.fetchval(
        _LEADERS + " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())", LOCKS
    )
    return held == count
