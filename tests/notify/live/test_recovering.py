"""Coming back: what was missed comes from the ring, from below it, or as a reset; all of it or none."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock

import pytest

from services.notify.live import history, metrics
from services.notify.live import ring as rings
from services.notify.live.ring import LEAST_SLACK
from shared.eventlog.entries import Entry, read_range
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, cursor, house_of, numbers
from tests.servers import Database


async def test_what_was_missed_while_away_comes_once_and_in_order(house: House, pen: Pen) -> None:
    async with LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a")
        await pen.write_many(2, ["topic:a"])
        await client.events("topic:a", 2)
        await client.close()
        await pen.write_many(500, ["topic:a"], size=300)
        await client.connect()
        await client.events("topic:a", 502)
        assert numbers(topic.events) == [1, 2, *range(1, 501)]
        assert topic.gaps == 0


async def test_below_the_ring_one_reader_extends_it_for_everybody(database: Database, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(400, ["topic:a", "post:1"])
    before = metrics.HISTORY.labels(0)._value.get()
    async with house_of(database, ring=100) as house:
        assert house.hub.rings[0].floor > 250
        clients = [LiveClient(house.url) for _ in range(5)]
        for client in clients:
            await client.connect()
        asked = [client.subscribe(channel, page) for client in clients for channel in ("topic:a", "post:1")]
        for subscription in await asyncio.gather(*asked):
            assert numbers(subscription.events) == list(range(1, 401))
        read = metrics.HISTORY.labels(0)._value.get() - before
        assert house.hub.rings[0].floor == 1
        assert read == 300, "the ring was read more than once"
        for client in clients:
            await client.close()


async def test_a_read_of_the_past_that_failed_leaves_no_ring_larger(
    database: Database, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(400, ["topic:a"])
    async with house_of(database, ring=100) as house, LiveClient(house.url) as client:
        failing = AsyncMock(side_effect=ConnectionResetError)
        monkeypatch.setattr(history, "read_range", failing)
        await client.subscribe("topic:a", page, wait=False)
        assert await client.closed() == 4005
        assert failing.call_count == 1
        await pen.write_many(500, ["topic:a"])
        await house.reached(900)
        assert len(house.hub.rings[0]) <= 100 + LEAST_SLACK


async def test_older_than_a_ring_can_be_extended_is_reset_too_old(
    database: Database, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "EXTENSION", 50)
    page = cursor(await pen.cursor())
    await pen.write_many(400, ["topic:a"])
    async with house_of(database, ring=100) as house, LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a", page)
        assert topic.resets == ["too_old"]
        assert topic.events == []
        page["seq"] = [260]
        topic = await client.subscribe("topic:a", page)
        assert numbers(topic.events) == list(range(261, 401))


@pytest.fixture
def small_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rings may hold 200,000 bytes of words, and twice that while they are extended."""
    monkeypatch.setattr(rings, "LEAST", 200_000)
    monkeypatch.setattr(rings, "EACH", 1)


@pytest.mark.usefixtures("small_rings")
async def test_a_past_of_too_many_words_is_reset_too_old(database: Database, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(600, ["topic:a"], size=1_000)
    async with house_of(database) as house, LiveClient(house.url) as client:
        ring = house.hub.rings[0]
        assert ring.floor > 400
        topic = await client.subscribe("topic:a", page)
        assert topic.resets == ["too_old"]
        assert ring.floor > 400
        page["seq"] = [300]
        topic = await client.subscribe("topic:a", page)
        assert numbers(topic.events) == list(range(301, 601))
        assert ring.floor == 301
        assert ring.spare >= 0


@pytest.mark.usefixtures("small_rings")
async def test_a_past_from_which_the_ring_has_moved_on_is_reset_too_old(
    database: Database, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(300, ["topic:a"], size=1_000)
    async with house_of(database) as house, LiveClient(house.url) as client:

        async def late(*asked: Any) -> list[Entry]:
            found = await read_range(*asked)
            await pen.write_many(600, ["topic:b"], size=1_000)
            await house.reached(900)
            return found

        monkeypatch.setattr(history, "read_range", late)
        page["seq"] = [50]
        topic = await client.subscribe("topic:a", page)
        assert topic.resets == ["too_old"]
        assert house.hub.rings[0].spare >= 0
        assert not house.fatal


async def test_what_retention_took_is_reset_too_old(database: Database, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(300, ["topic:a"])
    await pen.forget(150)
    async with house_of(database, ring=100) as house, LiveClient(house.url) as client:
        assert (await client.subscribe("topic:a", page)).resets == ["too_old"]
        page["seq"] = [160]
        assert numbers((await client.subscribe("topic:a", page)).events) == list(range(161, 301))


async def test_a_page_ahead_of_this_process_is_answered_when_the_log_comes_in(house: House, pen: Pen) -> None:
    await pen.write("x", ["topic:a"], {"n": 1})
    async with LiveClient(house.url) as client:
        hub = house.hub
        await house.reached(1)
        take, held = hub.take, []
        hub.take = lambda *entries: held.append(entries)
        await pen.write("x", ["topic:a"], {"n": 2})
        page = cursor(await pen.cursor())
        topic = await client.subscribe("topic:a", page, wait=False)
        await client.send({"type": "ping", "id": 99})
        await client.until(lambda: {"type": "pong", "id": 99} in client.frames)
        assert topic.proof.state == "pending"
        await client.send({"type": "ping", "id": 100})
        del hub.take
        for entries in held:
            take(*entries)
        await pen.write("x", ["topic:a"], {"n": 3})
        assert numbers(await client.events("topic:a", 1)) == [3]
        await client.until(lambda: topic.proof.state == "live")


async def test_a_since_ahead_of_postgres_or_of_an_older_epoch_is_reset_epoch(house: House, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    async with LiveClient(house.url) as client:
        ahead = await client.subscribe("post:1", {"epoch": page["epoch"], "seq": [99]})
        assert ahead.resets == ["epoch"]
        older = await client.subscribe("post:2", {"epoch": page["epoch"] - 1, "seq": [0]})
        assert older.resets == ["epoch"]
