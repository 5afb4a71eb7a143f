"""Promises made to a socket whose loss no other test would notice: found by mutants."""

import asyncio
from typing import Any

import pytest

from shared.eventlog.entries import read_range
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, eventually, house_of
from tests.notify.live.test_closing import code_of, raw
from tests.servers import Database


async def answers(client: LiveClient) -> None:
    """The socket is open: what is asked is answered."""
    await client.send({"type": "ping", "id": 9})
    await client.until(lambda: client.frames[-1] == {"type": "pong", "id": 9})


async def test_a_drain_leaves_everybody_their_time(house: House) -> None:
    clients = [LiveClient(house.url) for _ in range(3)]
    for client in clients:
        await client.connect()
    draining = asyncio.create_task(house.app.gateway.drain(900.0))
    for client in clients:
        await client.until(lambda told=client: told.frames[-1]["type"] == "drain")  # type: ignore[misc]
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
