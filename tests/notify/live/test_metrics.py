"""What operators see: every metric is documented, and says what is so."""

import asyncio
import re
from pathlib import Path

import httpx

from services.notify import live
from services.notify.live import recovery
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, eventually

DOCUMENTED = Path(live.__file__).parent / "METRICS.md"


async def scrape(house: House) -> dict[str, float]:
    """Every sample of /metrics by its name and labels; a family without samples by its name alone."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{house.port}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].count("charset") == 1
    found: dict[str, float] = {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE"):
            found[line.split()[2]] = 0.0
        elif not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


async def test_every_metric_is_documented_and_every_documented_one_is_there(house: House, pen: Pen) -> None:
    await pen.write("x", ["topic:a"])
    await house.reached(1)
    documented = set(re.findall(r"^\| `(\w+)`", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE))
    told = {
        name
        for name in await scrape(house)
        if re.fullmatch(r"chorus_(live|notifier|dead_letters|letters)_[a-z_]+", name)
    }
    told = {name for name in told if not name.endswith(("_created", "_bucket", "_sum", "_count"))}
    assert documented == told


async def test_lag_rings_and_rounds_are_told_as_they_are(house: House, pen: Pen) -> None:
    before = await scrape(house)
    async with LiveClient(house.url) as client:
        await client.subscribe("topic:a")
        await pen.write("x", ["topic:a"])
        await client.events("topic:a", 1)
        await eventually(lambda: house.app._follower.tails[0].pg_head == 1)  # type: ignore[union-attr]
        now = await scrape(house)
        assert (
            now["chorus_live_commit_to_socket_seconds_count"]
            == before["chorus_live_commit_to_socket_seconds_count"] + 1
        )
        assert now['chorus_live_log_head_position{log="0"}'] == now['chorus_live_position{log="0"}'] == 1
        assert now['chorus_live_lag_positions{consumer="live",log="0"}'] == 0
        assert now['chorus_live_lag_seconds{consumer="live",log="0"}'] < 60
        assert now['chorus_live_ring_entries{log="0"}'] == 1
        assert now['chorus_live_ring_floor_age_seconds{log="0"}'] > 0
        assert now["chorus_live_channels_followed"] == 1
        assert now["chorus_live_draining"] == now["chorus_live_drain_remaining_sockets"] == 0
        async with asyncio.timeout(10):
            while (await scrape(house))['chorus_live_lag_positions{consumer="notifier",log="0"}'] != 0:
                pass


async def test_who_falls_behind_is_seen_while_and_after_it_is(house: House, pen: Pen) -> None:
    async with LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a")
        session = next(iter(house.hub.sessions))
        session.outlet.paused = True
        await pen.write("x", ["topic:a"])
        await eventually(lambda: session.behind is not None)
        before = await scrape(house)
        assert before["chorus_live_sessions_behind"] == 1
        session.outlet.paused = False
        recovery_of(house).resume(session)
        await client.until(lambda: len(topic.events) == 1)
        now = await scrape(house)
        name = 'chorus_live_catch_ups_total{outcome="complete",source="ring"}'
        assert now[name] == before.get(name, 0) + 1
        assert now["chorus_live_sessions_behind"] == 0


def recovery_of(house: House) -> recovery.Recovery:
    """What brings this house's sessions up to date."""
    assert house.app._follower is not None
    assert house.app._follower.current is not None
    return house.app._follower.current.recovery
