"""What a tail believes of Redis: an entry that can be one, of our own installation, while Redis keeps up."""

import asyncio
import time
from typing import Any

import pytest

from shared.eventlog import tail as tails
from shared.eventlog.entries import Entry, read_rows
from shared.eventlog.position import Position
from shared.eventlog.sequencer import Sequencer
from shared.eventlog.stream import CALL_TIMEOUT
from shared.eventlog.tail import Tail
from tests.eventlog.rig import PATIENCE, Hold, Rig, take, until

pytestmark = pytest.mark.both_redis

AT = "2026-11-28T12:00:00.000Z"
MALFORMED: dict[str, dict[str, Any]] = {
    "no-payload": {"i": 3, "t": "x", "a": AT, "c": ""},
    "no-number": {"i": "three", "t": "x", "a": AT, "c": "", "p": "{}"},
    "no-text": {"i": 3, "t": b"\xff", "a": AT, "c": "", "p": "{}"},
    "no-time": {"i": 3, "t": "x", "a": "yesterday", "c": "", "p": "{}"},
    "time-of-no-zone": {"i": 3, "t": "x", "a": "2026-11-28T12:00:00.000", "c": "", "p": "{}"},
    "nothing-of-ours": {"hello": "world"},
}


async def follow_redis(rig: Rig, tail: Tail) -> None:
    """The tail stands at the head and reads from Redis."""
    async with asyncio.timeout(PATIENCE):
        while tail.source != "redis":
            await rig.write()
            await anext(tail)
    await rig.settle()
    if missing := (await rig.head()).seq - tail.position.seq:
        await take(tail, missing)


async def test_a_tail_leaves_a_redis_that_only_trickles(rig: Rig) -> None:
    async with rig.running():
        tail = rig.tail(start=await rig.head())
        await follow_redis(rig, tail)
        held = Hold("sequencer:publishing")
        first = tail.position.seq
        for _ in range(30):
            await rig.write(100)
        await asyncio.wait_for(held.arrived.wait(), PATIENCE)
        await until(lambda: is_numbered(rig, first + 3000))
        rows = await read_rows(rig.pool, 0, first, 2**62, 3000)
        trickled = 0

        async def trickle() -> None:
            nonlocal trickled
            for row in rows:
                if tail.source != "redis":
                    break
                await rig.stream().publish(tail.position.epoch, row["seq"] - 1, [row[:1] + row[2:]])
                trickled += 1
                await asyncio.sleep(0.005)

        trickling = asyncio.create_task(trickle())
        assert await take(tail, 3000) == (await rig.log())[first:]
        await trickling
        assert 0 < trickled < 3000
        held.release()


async def is_numbered(rig: Rig, seq: int) -> bool:
    return (await rig.head()).seq == seq


async def test_a_tail_comes_back_to_redis_while_entries_never_stop(rig: Rig) -> None:
    async with rig.running():
        tail = rig.tail(start=await rig.head())
        await follow_redis(rig, tail)
        await rig.redis.config_set("maxmemory", 1)
        stop = asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                await rig.write()

        writing = asyncio.create_task(write())
        seen: list[Entry] = []
        first = tail.position.seq
        async with asyncio.timeout(PATIENCE):
            while not await is_left(tail):
                seen += await anext(tail)
            await rig.redis.config_set("maxmemory", 0)
            while await is_left(tail):
                seen += await anext(tail)
        stop.set()
        await writing
        await rig.settle()
        seen += await take(tail, (await rig.head()).seq - tail.position.seq)
        assert seen == (await rig.log())[first:]


async def test_a_redis_that_turns_into_somebody_elses_is_not_believed(rig: Rig) -> None:
    tail = rig.tail(start=await rig.head())
    async with rig.running():
        await follow_redis(rig, tail)
    first = tail.position
    reading = asyncio.create_task(take(tail, 1))
    await until(lambda: waits_for_redis(rig))
    async with rig.redis.pipeline(transaction=True) as at_once:
        lie = {"i": 1, "t": "lie", "a": AT, "c": "", "p": "{}"}
        at_once.set(rig.stream().install_key, "somebody else").xadd(
            rig.stream().key, lie, f"{first.epoch}-{first.seq + 1}"
        )
        await at_once.execute()
    await until(lambda: is_left(tail))
    assert not reading.done()
    await rig.write()
    async with rig.running(Sequencer(0, url=rig.database.url_direct, pool=rig.pool)):
        assert await reading == (await rig.log())[first.seq :]


async def waits_for_redis(rig: Rig) -> bool:
    """Somebody waits there for an entry; reads that find one at once ask less often whose Redis it is."""
    clients = await rig.redis.info("clients")
    return int(clients["blocked_clients"]) > 0


async def is_left(tail: Tail) -> bool:
    return tail.source == "postgres"


@pytest.mark.parametrize("shape", MALFORMED)
async def test_an_entry_that_can_be_none_comes_from_postgres_and_nothing_else_does(
    rig: Rig, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig.running():
        await rig.write(5)
        await rig.settle()
    start = await rig.restream({3: MALFORMED[shape]})
    asked: list[tuple[int, int]] = []

    async def noting(connection: Any, log: int, after: int, last: int, limit: int) -> list[Any]:
        asked.append((after, last))
        return await read_rows(connection, log, after, last, limit)

    monkeypatch.setattr(tails, "read_rows", noting)
    tail = rig.tail(start=start)
    assert await take(tail, 5) == await rig.log()
    assert asked == [(2, 3)]
    assert tail.source == "redis"


async def test_a_malformed_entry_beyond_the_head_is_no_entry(rig: Rig) -> None:
    async with rig.running():
        await rig.write(2)
        await rig.settle()
    tail = rig.tail(start=(await rig.head())._replace(seq=0))
    await rig.redis.xadd(rig.stream().key, {"hello": "world"}, f"{await rig.epoch()}-3")
    assert await take(tail, 2) == await rig.log()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await anext(tail)
    assert tail.position == Position(await rig.epoch(), 2)


async def test_a_loop_that_is_busy_itself_does_not_send_its_tail_to_postgres(rig: Rig) -> None:
    # Without a sequencer meanwhile: in this loop its calls would time out as well, and then Redis does lack something.
    async with rig.running():
        tail = rig.tail(start=await rig.head())
        await follow_redis(rig, tail)
    left = tail.switches["postgres"]
    step = asyncio.ensure_future(anext(tail))
    for _ in range(3):
        await asyncio.sleep(0.05)  # the next read waits in Redis
        time.sleep(1.3 * CALL_TIMEOUT)  # noqa: ASYNC251 - thousands who say hello at once
    await until(lambda: waits_for_redis(rig))
    assert (tail.source, tail.switches["postgres"]) == ("redis", left)
    async with rig.running():
        await rig.write()
        assert len(await asyncio.wait_for(step, PATIENCE)) == 1
    await tail.aclose()


async def test_a_redis_that_is_still_behind_is_not_gone_back_to(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tail = rig.tail(start=await rig.head())
    async with rig.running():
        await follow_redis(rig, tail)
    numberer, epoch, looks = await rig.numberer(), await rig.epoch(), 0
    take_end = tail._take_redis_end

    def looking(answer: Any) -> None:
        nonlocal looks
        looks += answer.value is not None
        take_end(answer)

    monkeypatch.setattr(tail, "_take_redis_end", looking)
    came = tail.switches["redis"]
    async with asyncio.timeout(PATIENCE):
        while looks < 3:  # nobody publishes what is numbered here
            await rig.write()
            await numberer.fetch("SELECT * FROM eventlog.number(0::smallint, $1, 1)", epoch)
            assert len(await take(tail, 1)) == 1
    assert (tail.source, tail.switches["redis"]) == ("postgres", came)
    await tail.aclose()
