"""A leader leads again, however often its session is ended: the log never stands still without anybody saying so."""

import asyncio
import time

from tests.eventlog.rig import Rig

_END_LEADER = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chorus sequencer 0'"


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
