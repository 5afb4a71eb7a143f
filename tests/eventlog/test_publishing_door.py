"""The publishing process's door: ready while Postgres answers, degraded without Redis, telling where the log stands."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import msgspec

from services.feed.publishing_door import Door
from shared import clock
from shared.eventlog.sequencer import Sequencer
from shared.listening import listen
from tests.eventlog.rig import PATIENCE, Rig

ROWS = {
    "ahead": r"^chorus_clock_ahead_seconds (\S+)",
    "head": r'^chorus_log_head_position\{log="0"\} (\S+)',
    "leads": r'^chorus_sequencer_leading\{log="0"\} (\S+)',
    "redis": r'^chorus_sequencer_redis_reached\{log="0"\} (\S+)',
    "unpublished": r'^chorus_sequencer_unpublished_positions\{log="0"\} (\S+)',
    "waiting": r'^chorus_log_unnumbered_events\{log="0"\} (\S+)',
    "behind": r'^chorus_consumer_lag_positions\{consumer="slow",log="0"\} (\S+)',
    "late": r'^chorus_consumer_lag_seconds\{consumer="slow",log="0"\} (\S+)',
    "held": r"^chorus_log_days_held (\S+)",
    "overdue": r"^chorus_log_days_overdue (\S+)",
    "database": r"^chorus_database_bytes (\S+)",
    "log": r"^chorus_log_bytes (\S+)",
    "used": r"^chorus_redis_used_bytes (\S+)",
    "most": r"^chorus_redis_max_bytes (\S+)",
}


@asynccontextmanager
async def opened(rig: Rig, sequencer: Sequencer) -> AsyncIterator[httpx.AsyncClient]:
    """The door, and somebody before it."""
    door = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{door.getsockname()[1]}"
    task = asyncio.create_task(Door([sequencer], rig.pool, redis=rig.redis).run(door))
    try:
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            yield http
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def figures(http: httpx.AsyncClient, until: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """What a scrape tells, once it is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            text = (await http.get("/metrics")).text
            found = {name: float(m[1]) for name, row in ROWS.items() if (m := re.search(row, text, re.MULTILINE))}
            if until(found):
                return found
            await asyncio.sleep(0.05)


async def test_a_leader_tells_where_its_log_stands_and_a_standby_that_it_stands_by(rig: Rig) -> None:
    leader = Sequencer(0, url=rig.database.url_direct, pool=rig.pool, redis=rig.redis)
    async with opened(rig, leader) as http:
        await rig.pool.execute("SELECT eventlog.append('7', 'x', '{post:7}', '{}') FROM generate_series(1, 3)")
        before = await figures(http, lambda _: True)
        assert (before["leads"], before["waiting"], before["head"]) == (0, 3, 0)
        assert (await http.get("/readyz")).json() == {"status": "ok", "broken": []}
        task = asyncio.create_task(leader.run())
        try:
            after = await figures(http, lambda found: found["head"] == 3 and found["unpublished"] == 0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert (after["leads"], after["redis"], after["waiting"]) == (1, 1, 0)
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/elsewhere")).status_code == 404


async def test_a_durable_follower_s_lag_is_told_in_positions_and_in_seconds(rig: Rig) -> None:
    async with opened(rig, Sequencer(0, url=rig.database.url_direct, pool=rig.pool, redis=rig.redis)) as http:
        await rig.pool.execute("SELECT eventlog.append('7', 'x', '{post:7}', '{}') FROM generate_series(1, 3)")
        async with rig.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            await connection.fetch("SELECT * FROM eventlog.number(0::smallint, (SELECT epoch FROM eventlog.head), 10)")
        await rig.pool.execute("UPDATE eventlog.entry SET at = at - interval '1 minute' * seq")
        await rig.pool.execute("INSERT INTO eventlog.consumer (name, log, seq) VALUES ('slow', 0, 1)")
        slow = await figures(http, lambda _: True)
        assert slow["behind"] == 2
        assert 120 <= slow["late"] < 180  # of the second, the first that it has not handled
        await rig.pool.execute("UPDATE eventlog.consumer SET seq = 3")
        there = await figures(http, lambda _: True)
        assert (there["behind"], there["late"]) == (0, 0)


async def test_a_clock_that_is_not_postgres_s_is_told(rig: Rig) -> None:
    async with opened(rig, Sequencer(0, url=rig.database.url_direct, pool=rig.pool, redis=rig.redis)) as http:
        right = (await figures(http, lambda _: True))["ahead"]
        for moved in (-3600, 3600):
            clock.move(moved)
            try:
                told = (await figures(http, lambda _: True))["ahead"]
            finally:
                clock.move(0)
            assert abs(told - right - moved) < 1800


async def test_without_redis_it_is_degraded_and_without_postgres_it_is_down(rig: Rig) -> None:
    sequencer = Sequencer(0, url=rig.database.url_direct, pool=rig.pool, redis=rig.redis)
    sequencer.leading.set()
    async with opened(rig, sequencer) as http:
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["broken"][0]["name"] == "redis"
        await rig.pool.close()
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["broken"][0]["name"]) == (503, "postgres")


async def test_it_tells_what_fills_the_disk_and_what_retention_holds_back(rig: Rig) -> None:
    async with opened(rig, Sequencer(0, url=rig.database.url_direct, pool=rig.pool, redis=rig.redis)) as http:
        before = await figures(http, lambda _: True)
        assert (before["held"], before["overdue"]) == (1, 0)
        assert before["database"] > before["log"] > 0
        await rig.pool.execute(
            "SELECT eventlog.make_day((now() AT TIME ZONE 'UTC')::date - n) FROM generate_series(1, 6) n"
        )
        payload = msgspec.json.encode({"words": "y" * 900})
        append = "SELECT eventlog.append('7', 'x', '{post:7}', $1) FROM generate_series(1, 2000)"
        await rig.pool.execute(append, payload)
        after = await figures(http, lambda _: True)
        # Three days are kept: those of them that have begun, and the one in which they began, may be there.
        assert (after["held"], after["overdue"]) == (7, 3)
        assert after["log"] > before["log"] + 500_000
        assert after["database"] > before["database"] + 500_000
        assert rig.redis is not None
        await rig.redis.config_set("maxmemory", "77mb")
        try:
            told = await figures(http, lambda found: found["most"] > 0)
        finally:
            await rig.redis.config_set("maxmemory", "0")
        assert told["most"] == 77 << 20
        assert 0 < told["used"] < told["most"]
