"""Promises made to a socket whose loss no other test would notice: found by mutants."""

import asyncio
from typing import Any

import pytest

from services.notify.live import home
from shared.eventlog.entries import read_range
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, cursor, eventually, house_of, numbers, token
from tests.notify.live.test_closing import code_of, raw, stalled_reader
from tests.servers import Database


async def answers(client: LiveClient) -> None:
    """The socket is open: what is asked is answered."""
    await client.send({"type": "ping", "id": 9})
    await client.until(lambda: client.latest == {"type": "pong", "id": 9})


async def test_a_drain_leaves_everybody_their_time(house: House) -> None:
    clients = [LiveClient(house.url) for _ in range(3)]
    for client in clients:
        await client.connect()
    draining = asyncio.create_task(house.app.gateway.drain(900.0))
    for client in clients:
        await client.until(lambda told=client: told.latest["type"] == "drain")  # type: ignore[misc]
        await answers(client)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    for client in clients:
        await client.close()


async def test_nobody_is_served_before_the_ring_is_filled(
    database: Database, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def late(*asked: Any) -> Any:
        await gate.wait()
        return await read_range(*asked)

    await pen.write("x", ["topic:a"])
    async with house_of(database) as house:
        monkeypatch.setattr("services.notify.live.follower.read_range", late)
        await pen.new_epoch()
        await eventually(lambda: not house.ready)
        assert any(name.startswith("!") for name in await house.app.broken())
        async with raw(house) as socket:
            assert await code_of(socket) == 4005
        gate.set()
        await eventually(lambda: house.ready)
        assert not any(name.startswith("!") for name in await house.app.broken())
        async with LiveClient(house.url) as client:
            await answers(client)


async def test_home_has_what_was_joined_while_it_was_read(
    house: House, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, session = await pen.member()
    await pen.membership(account, "sleep", joined=True)
    await house.reached(1)
    home_of, read, gate = home.queries.home_of, asyncio.Event(), asyncio.Event()

    async def late(*asked: Any, **named: Any) -> Any:
        row = await home_of(*asked, **named)
        read.set()
        await gate.wait()
        return row

    monkeypatch.setattr(home.queries, "home_of", late)
    async with LiveClient(house.url, token(account, session)) as client:
        await client.send({"type": "subscribe", "id": 70, "channels": [{"channel": "home"}]})
        await asyncio.wait_for(read.wait(), 10)
        await pen.membership(account, "walks", joined=True)
        await pen.membership(account, "sleep", joined=False)
        await house.reached(3)
        gate.set()
        await client.until(lambda: client.latest["type"] == "subscribed")
        assert client.latest["channels"] == ["topic:walks"]


async def test_a_replay_of_many_pieces_is_whole_and_live_only_at_its_end(house: House, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(600, ["topic:a"], size=300)
    await house.reached(600)
    async with LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a", page)
        assert topic.proof.state == "live"
        assert numbers(topic.events) == list(range(1, 601))


async def test_those_who_ask_together_for_what_lies_below_the_ring_cost_one_read(
    database: Database, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(400, ["topic:a"])
    reads, gate = [], asyncio.Event()

    async def late(*asked: Any) -> Any:
        reads.append(asked)
        await gate.wait()
        return await read_range(*asked)

    async with house_of(database, ring=100) as house:
        monkeypatch.setattr("services.notify.live.history.read_range", late)
        clients = [LiveClient(house.url) for _ in range(4)]
        for client in clients:
            await client.connect()
            await client.subscribe("topic:a", page, wait=False)
            await answers(client)  # so the gateway has taken what was asked before
        gate.set()
        for client in clients:
            assert len(await client.events("topic:a", 400)) == 400
            await client.close()
    assert len(reads) == 1


async def test_no_more_waits_for_a_reader_that_stalls_than_its_write_buffer(database: Database, pen: Pen) -> None:
    bound = 16_384
    async with house_of(database, write_buffer=bound) as house, LiveClient(house.url) as healthy:
        await healthy.subscribe("topic:a")
        with await stalled_reader(house, "topic:a"):
            most = 0
            for written in range(1, 13):
                await pen.write_many(200, ["topic:a"], size=3_000)
                await healthy.events("topic:a", 200 * written, 20)
                most = max(most, *(session.outlet.waiting() for session in house.hub.sessions))
            assert any(session.behind is not None for session in house.hub.sessions)
            assert 0 < most <= bound
