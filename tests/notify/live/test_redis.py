"""The usual way, by Redis, and the way without: sockets see no difference but time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis as Client

from services.embedded import Redis
from shared.eventlog.sequencer import Sequencer
from shared.postgres import open_pool
from tests.live_client import LiveClient
from tests.notify.live.house import Pen, eventually, house_of
from tests.servers import Database


@asynccontextmanager
async def sequencing(database: Database, redis_url: str) -> AsyncIterator[None]:
    """A sequencer for log 0 runs."""
    pool = await open_pool(database.url_direct, application_name="sequencer", max_size=3)
    client = Client.from_url(redis_url)
    task = asyncio.create_task(Sequencer(0, url=database.url_direct, pool=pool, redis=client).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.aclose()
        await pool.close()


@pytest.mark.both_redis
async def test_events_come_by_redis_and_go_on_without_it(database: Database, own_redis: Redis, pen: Pen) -> None:
    async with (
        sequencing(database, own_redis.url),
        house_of(database, own_redis.url) as house,
        LiveClient(house.url) as client,
    ):
        follower = house.app._follower
        assert follower is not None
        await eventually(lambda: follower.broken() == {})
        topic = await client.subscribe("topic:a")
        for n in range(20):
            await pen.append("x", ["topic:a"], {"n": n})
        await client.events("topic:a", 20)
        assert await house.app.broken() == {}

        await asyncio.to_thread(own_redis.stop)
        for n in range(20, 40):
            await pen.append("x", ["topic:a"], {"n": n})
        await client.events("topic:a", 40)
        assert set(await house.app.broken()) >= {"redis"}
        assert not any(name.startswith("!") for name in await house.app.broken())

        await asyncio.to_thread(own_redis.start)
        await eventually(lambda: follower.broken() == {}, 20)
        await pen.append("x", ["topic:a"], {"n": 40})
        assert [event["n"] for event in await client.events("topic:a", 41)] == list(range(41))
        assert topic.gaps == 0
        assert client.close_code is None
