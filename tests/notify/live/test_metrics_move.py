"""What operators watch moves when that happens which it tells of, and by as much."""

import asyncio
from collections.abc import Mapping
from unittest.mock import AsyncMock

import pytest

from services.embedded import Redis
from services.notify.live import history
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, cursor, eventually, house_of, pen_of
from tests.notify.live.test_closing import code_of, greeted, raw, stalled_reader
from tests.notify.live.test_metrics import scrape
from tests.notify.live.test_redis import sequencing
from tests.servers import Database

Told = Mapping[str, float]


def moved(before: Told, now: Told, family: str) -> dict[str, float]:
    """The samples of a family that changed, by their labels, and by how much."""
    every = {name.removeprefix(family): value for name, value in now.items() if name.startswith(f"{family}{{")}
    grown = {labels: value - before.get(family + labels, 0) for labels, value in every.items()}
    return {labels: by for labels, by in grown.items() if by}


def ended(source: str, outcome: str) -> str:
    return f'{{outcome="{outcome}",source="{source}"}}'


async def told_until(house: House, name: str, least: float, most: float = float("inf")) -> Told:
    """What is told once a sample lies between `least` and `most`."""
    async with asyncio.timeout(20):
        while not least <= (now := await scrape(house))[name] <= most:
            pass
    return now


async def test_recoveries_say_where_the_answer_came_from_and_what_it_was(
    database: Database, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(400, ["topic:a"])
    await pen.forget(150)
    monkeypatch.setattr(history, "EXTENSION", 290)
    async with house_of(database, ring=100) as house, LiveClient(house.url) as client:
        before = await scrape(house)
        for since in (390, 160, 120, 0, 9_999):
            page["seq"] = [since]
            await client.subscribe("topic:a", page)
        page = {"epoch": page["epoch"] - 1, "seq": [400]}
        await client.subscribe("topic:a", page)
        page["epoch"] += 1
        await client.subscribe("inbox:7", page)
        await client.subscribe("topic:a")
        now = await scrape(house)
        assert moved(before, now, "chorus_live_recoveries_total") == {
            ended("ring", "complete"): 1,
            ended("postgres", "complete"): 1,
            ended("postgres", "too_old"): 1,
            ended("none", "too_old"): 1,
            ended("postgres", "epoch"): 1,
            ended("none", "epoch"): 1,
            ended("none", "forbidden"): 1,
        }
        resets = {'{reason="too_old"}': 2, '{reason="epoch"}': 2, '{reason="forbidden"}': 1}
        assert moved(before, now, "chorus_live_resets_total") == resets


async def test_a_reload_ends_those_who_are_here_and_those_who_come_back(house: House, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    async with LiveClient(house.url) as here, LiveClient(house.url) as late:
        topic = await here.subscribe("topic:a")
        before = await scrape(house)
        await pen.write("topic.reloaded", ["topic:a"], {"slug": "a"})
        await here.until(lambda: topic.resets == ["reloaded"])
        assert (await late.subscribe("topic:a", page)).resets == ["reloaded"]
        now = await scrape(house)
        assert moved(before, now, "chorus_live_resets_total") == {'{reason="reloaded"}': 2}
        assert moved(before, now, "chorus_live_recoveries_total") == {ended("ring", "reloaded"): 1}


async def test_recoveries_that_postgres_leaves_without_an_answer_are_counted(
    database: Database, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(400, ["topic:a"])
    async with house_of(database, ring=100) as house, LiveClient(house.url) as client:
        before = await scrape(house)
        monkeypatch.setattr(history, "read_range", AsyncMock(side_effect=ConnectionResetError))
        await client.subscribe("topic:a", page, wait=False)
        assert await client.closed() == 4005
        now = await scrape(house)
        assert moved(before, now, "chorus_live_recoveries_total") == {ended("postgres", "unavailable"): 1}
        assert moved(before, now, "chorus_live_closes_total") == {'{code="4005"}': 1}


async def test_gaps_are_told_when_noticed_and_when_repaired(database: Database, own_redis: Redis, pen: Pen) -> None:
    async with house_of(database, own_redis.url) as house:
        follower = house.app._follower
        assert follower is not None
        async with sequencing(database, own_redis.url):
            await eventually(lambda: follower.broken() == {})
        before = await scrape(house)
        await pen.write_many(3, ["topic:a"])  # numbered, and nobody brings it to Redis
        await house.reached(3)
        now = await scrape(house)
        for done in ("noticed", "repaired"):
            assert moved(before, now, f"chorus_live_gaps_{done}_total") == {'{cause="behind",log="0"}': 1}
        assert moved(before, now, "chorus_live_tail_switches_total") == {'{log="0",to="postgres"}': 1}


async def test_the_live_side_s_lag_grows_while_it_takes_nothing(
    house: House, pen: Pen, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    monkeypatch.setattr(house.hub, "room", gate.wait)
    await pen.write_many(7, ["topic:a"])
    positions, seconds = (f'chorus_live_lag_{of}{{consumer="live",log="0"}}' for of in ("positions", "seconds"))
    held = await told_until(house, positions, 7)
    assert held['chorus_live_log_head_position{log="0"}'] == 7
    assert held['chorus_live_position{log="0"}'] == 0
    await told_until(house, seconds, held[seconds] + 0.01)
    gate.set()
    await house.reached(7)
    now = await scrape(house)
    assert (now[positions], now['chorus_live_position{log="0"}']) == (0, 7)
    floor = 'chorus_live_ring_floor_age_seconds{log="0"}'
    await told_until(house, floor, now[floor] + 0.01)


async def test_the_notifier_s_lag_grows_while_its_cursor_is_held(database: Database, house: House, pen: Pen) -> None:
    positions, seconds = (f'chorus_live_lag_{of}{{consumer="notifier",log="0"}}' for of in ("positions", "seconds"))
    async with pen_of(database) as holder:
        held = holder._connection
        async with asyncio.timeout(20):
            while not await held.fetchval("select count(*) from notify.cursor"):  # noqa: ASYNC110 - the notifier's
                await asyncio.sleep(0.01)
        async with held.transaction():
            await held.execute("select from notify.cursor for update")
            await pen.write_many(5, ["topic:a"])
            late = await told_until(house, positions, 5)
            await told_until(house, seconds, late[seconds] + 0.01)
    await told_until(house, positions, 0, most=0)
    assert (await scrape(house))[seconds] == 0


async def test_bytes_that_nobody_takes_are_in_flight_until_they_are_thrown_away(database: Database, pen: Pen) -> None:
    async with house_of(database, write_buffer=16_384) as house, LiveClient(house.url) as healthy:
        await healthy.subscribe("topic:a")
        before = await scrape(house)
        with await stalled_reader(house, "topic:a"):
            for _ in range(12):
                await pen.write_many(200, ["topic:a"], size=3_000)
            await told_until(house, "chorus_live_in_flight_bytes", 4_096)
            now = await told_until(house, "chorus_live_sessions_behind", 1)
            assert now["chorus_live_sockets"] == before["chorus_live_sockets"] + 1
        await eventually(lambda: len(house.hub.sessions) == 1)
        now = await scrape(house)
        assert now["chorus_live_sessions_behind"] == 0
        assert moved(before, now, "chorus_live_closes_total") == {'{code="client"}': 1}


async def test_closes_are_told_by_their_code_and_a_drain_by_who_is_left(database: Database) -> None:
    async with house_of(database) as house:
        before = await scrape(house)
        async with raw(house) as socket:
            await greeted(socket)
            await socket.send(b"binary")
            assert await code_of(socket) == 4501
        clients = [LiveClient(house.url) for _ in range(3)]
        for client in clients:
            await client.connect()
        leaving = asyncio.ensure_future(house.app.gateway.drain(300))
        await clients[2].until(lambda: clients[2].latest["type"] == "drain")
        now = await scrape(house)
        assert (now["chorus_live_draining"], now["chorus_live_drain_remaining_sockets"]) == (1, 3)
        leaving.cancel()
        await asyncio.wait_for(house.app.gateway.drain(0), 20)
        await asyncio.gather(*(client.closed() for client in clients))
        await eventually(lambda: not house.app.gateway.sessions())
        now = await scrape(house)
        assert (now["chorus_live_draining"], now["chorus_live_drain_remaining_sockets"]) == (1, 0)
        assert moved(before, now, "chorus_live_closes_total") == {'{code="4501"}': 1, '{code="4000"}': 3}
