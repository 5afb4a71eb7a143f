"""A leader leads again, however often its session is ended: the log never stands still without anybody saying so."""

import asyncio
import time

from tests.eventlog.rig import Rig, until

_SESSION = "FROM pg_stat_activity WHERE application_name = 'chorus sequencer 0'"
_END_LEADER = f"SELECT pg_terminate_backend(pid) {_SESSION}"

_WAITS = f"SELECT EXISTS (SELECT {_SESSION} AND wait_event_type = 'Lock')"


async def test_a_leader_whose_session_is_ended_again_and_again_goes_on(rig: Rig) -> None:
    sequencer = rig.sequencer()
    async with rig.running(sequencer) as tasks:
        for _ in range(4):
            await asyncio.wait_for(sequencer.leading.wait(), 10)
            assert await rig.pool.fetchval(_END_LEADER)
            await rig.write(2)
            await rig.settle()
            assert not tasks[0].done()
    await rig.check()


async def test_a_leader_that_was_paused_goes_on(rig: Rig) -> None:
    sequencer = rig.sequencer()
    async with rig.running(sequencer) as tasks:
        for _ in range(2):
            await asyncio.wait_for(sequencer.leading.wait(), 10)
            time.sleep(3.5)  # noqa: ASYNC251 - the whole process stands still, and the server ends its session
            await rig.write(2)
            await rig.settle()
            assert not tasks[0].done()
    await rig.check()


async def test_a_leader_that_lost_a_race_for_the_log_tries_again(rig: Rig) -> None:
    other = await rig.connect(rig.database.url_direct)
    sequencer = rig.sequencer()
    async with rig.running(sequencer) as tasks:
        await asyncio.wait_for(sequencer.leading.wait(), 10)
        session = await rig.pool.fetchval(f"SELECT pid {_SESSION}")
        async with other.transaction():
            await other.execute("SELECT FROM eventlog.log FOR UPDATE")
            await rig.write(2)
            await until(lambda: other.fetchval(_WAITS))
            await other.execute("UPDATE eventlog.log SET epoch = epoch")  # whoever waits for the row is too late now
        await rig.settle()
        assert await rig.pool.fetchval(f"SELECT pid {_SESSION}") == session
        assert not tasks[0].done()
    await rig.check()


async def test_a_server_that_changed_while_it_was_away_is_noticed(rig: Rig) -> None:
    sequencer = rig.sequencer()
    async with rig.running(sequencer):
        await rig.write(2)
        await rig.settle()
        before = await rig.epoch()
        await rig.pool.execute("UPDATE eventlog.installation SET timeline = 'FFFFFFFF'")
        assert await rig.pool.fetchval(_END_LEADER)

        async def another() -> bool:
            return await rig.epoch() > before

        await until(another, timeout=20)
        await rig.write(2)
        await rig.settle()
    await rig.check()
