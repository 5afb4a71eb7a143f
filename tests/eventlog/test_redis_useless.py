"""A Redis that answers nothing, or refuses everything: numbers and tails go on, batch after batch."""

import asyncio
import signal

from services.embedded import Redis
from shared.eventlog.position import Position
from tests.eventlog.rig import Rig, take, until
from tests.servers import Database


async def reaches(rig: Rig, seq: int) -> bool:
    return (await rig.head()).seq >= seq


async def test_batch_after_batch_is_numbered_while_redis_refuses_everything(rig: Rig) -> None:
    async with rig.running():
        await rig.write()
        await rig.settle()
        await rig.redis.config_set("maxmemory", 1)
        try:
            for head in (2, 3, 4):
                await rig.write()
                await until(lambda seq=head: reaches(rig, seq))  # type: ignore[misc]
            assert await rig.stream().last() == Position(await rig.epoch(), 1)
        finally:
            await rig.redis.config_set("maxmemory", 0)
        await rig.settle()
    await rig.check()


async def test_a_paused_redis_keeps_neither_a_leader_nor_a_tail_from_beginning(
    database: Database, own_redis: Redis
) -> None:
    own_redis.send(signal.SIGSTOP)
    try:
        async with Rig(database, own_redis.url) as rig, rig.running():
            tail = rig.tail(start=await rig.head())
            await rig.write(2)
            async with asyncio.timeout(20):
                assert [entry.seq for entry in await take(tail, 2)] == [1, 2]
            assert tail.source == "postgres"
            await tail.aclose()
    finally:
        own_redis.send(signal.SIGCONT)
