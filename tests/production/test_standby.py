"""A physical standby is promoted under load: another timeline, a new epoch, and everybody ends equal to Postgres."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.eventlog.rig import Rig
from tests.production.readers import Circle, told
from tests.production.standby import Pair
from tests.production.writers import Writer
from tests.stack import Stack


@pytest.mark.timeout(180)
async def test_a_standby_promoted_under_load_leaves_everybody_equal_to_postgres(
    pair: Pair, redis_url: str, tmp_path: Path
) -> None:
    stack = Stack(pair.database, redis_url, tmp_path, {})
    try:
        stack.start()
        circle = await Circle.gathered(stack)
        (anna, bert, cleo), kept, readers = circle
        epoch = readers[0].client.welcome["epoch"]
        writer = Writer(cleo)
        writing = asyncio.create_task(writer.run())
        await writer.more(20)
        await asyncio.to_thread(pair.caught_up)
        await asyncio.to_thread(pair.cut)
        await writer.more(10)
        lost = await circle.loses()

        pair.primary.send(signal.SIGKILL)
        await asyncio.to_thread(pair.promote)
        await asyncio.gather(*(reader.closed_by_a_new_epoch() for reader in readers))
        stack.feed.wait_ready()
        stack.notify.wait_ready()
        await writer.more(20)
        for reader in readers:
            await reader.open()
            assert reader.client.welcome["epoch"] > epoch
        await bert.comment(kept, "Told after.")
        await writer.more(5)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        await circle.ended_equal(lost, {kept["id"]})
        await told(stack, anna, 2)
        async with Rig(pair.database, redis_url) as rig:
            await rig.settle()
            await rig.check()
            reason = await rig.pool.fetchval("SELECT reason FROM eventlog.epoch ORDER BY epoch DESC LIMIT 1")
            assert "timeline" in reason or "Redis is ahead" in reason
        await circle.leave()
    except BaseException:
        for service in stack.services:
            print(service.name, service.tail())
        raise
    finally:
        stack.stop()
