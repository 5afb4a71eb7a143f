"""Tails of one process that stand at the same place wait for Redis together, and none of them is in another's way."""

import asyncio

import pytest

from shared.eventlog.reads import Reads, reads_of
from shared.eventlog.tail import Tail
from shared.redis_client import open_redis
from tests.eventlog.rig import PATIENCE, Rig, take, until

pytestmark = pytest.mark.both_redis


async def at_the_head(rig: Rig, count: int) -> list[Tail]:
    """Tails that stand at the head and follow Redis."""
    await rig.write()
    await rig.settle()
    tails = [rig.tail(start=await rig.head()) for _ in range(count)]
    steps = [asyncio.create_task(anext(tail)) for tail in tails]
    await until(lambda: settled(tails))
    await rig.write()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*steps)
    return tails


async def settled(tails: list[Tail]) -> bool:
    return all(tail.source == "redis" for tail in tails)


async def waiting(rig: Rig) -> int:
    """Reads that wait in Redis."""
    return int((await rig.redis.info("clients"))["blocked_clients"])


async def test_tails_at_the_same_place_wait_in_one_read(rig: Rig) -> None:
    async with rig.running():
        tails = await at_the_head(rig, 3)
        steps = [asyncio.create_task(anext(tail)) for tail in tails]
        seen = set()
        for _ in range(60):
            seen.add(await waiting(rig))
            await asyncio.sleep(0.005)
        assert 1 in seen
        assert seen <= {0, 1}  # none while the next one is asked
        await rig.write(2)
        first, *others = await asyncio.wait_for(asyncio.gather(*steps), PATIENCE)
        assert all(other == first for other in others)
        assert all(tail.switches == {"redis": 1, "postgres": 0} for tail in tails)
        for tail in tails:
            await tail.aclose()


async def test_a_tail_that_leaves_takes_nobodys_read_away(rig: Rig) -> None:
    async with rig.running():
        leaving, staying = await at_the_head(rig, 2)
        left, step = asyncio.create_task(anext(leaving)), asyncio.create_task(anext(staying))
        for _ in range(20):  # at another moment of the read each time
            await asyncio.sleep(0.003)
            left.cancel()
            await asyncio.wait([left])
            await leaving.aclose()
            assert not step.done()
            left = asyncio.create_task(anext(leaving))
        await rig.write()
        expected = await asyncio.wait_for(step, PATIENCE)
        assert await asyncio.wait_for(left, PATIENCE) == expected
        assert staying.switches == {"redis": 1, "postgres": 0}
        await rig.write(3)
        await take(staying, 3)
        await leaving.aclose()
        await staying.aclose()


async def test_a_read_ends_with_the_last_who_waits_for_it(rig: Rig) -> None:
    async with rig.running():
        await rig.write()
        await rig.settle()
        reads, head = Reads(rig.stream()), await rig.head()
        first, second = reads.join(head), reads.join(head)
        assert first is second
        reads.leave(first)
        reads.leave(second)
        again = reads.join(head)
        assert again is not first  # that one is being cancelled
        await asyncio.wait([first.task])
        assert first.task.cancelled()
        await rig.write()
        while not (pairs := (await again.task).pairs):  # numbering may take longer than a read waits
            again = reads.join(head)
        assert [at.seq for at, _ in pairs] == [(await rig.head()).seq]


async def test_another_client_or_log_is_another_stream(rig: Rig, redis_url: str) -> None:
    other = open_redis(redis_url)
    mine = reads_of(rig.redis, 0)
    assert reads_of(rig.redis, 0) is mine
    assert reads_of(rig.redis, 1) is not mine
    assert reads_of(other, 0) is not mine
    await other.aclose()
