"""Words that were removed from the log are given to nobody any more, wherever they were: in production's own order."""

from typing import Any

import pytest
from redis.asyncio import Redis as Client

from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, cursor, eventually, house_of
from tests.notify.live.test_redis import sequencing
from tests.servers import Database

STREAM = "chorus:log:{0}"
WORDS = "what nobody may read again"


async def told(house: House, page: Any) -> list[dict[str, Any]]:
    """The events that a client gets which resumes from before, checked for words in any frame."""
    async with LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a", {"epoch": page["epoch"], "seq": list(page["seq"])})
        assert topic.proof.state == "live"
        assert WORDS not in repr(client.frames)
        return topic.events


@pytest.mark.both_redis
async def test_words_leave_rings_redis_and_replays(database: Database, redis_url: str, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    async with (
        sequencing(database, redis_url),
        house_of(database, redis_url, ring=100) as house,
        LiveClient(house.url) as follower,
        Client.from_url(redis_url) as redis,
    ):
        await eventually(lambda: house.app._follower.broken() == {})  # type: ignore[union-attr]
        topic = await follower.subscribe("topic:a")
        for body in ("before", WORDS, "after"):
            await pen.append("x", ["topic:a", "post:1"], {"body": body})
        await follower.events("topic:a", 3)
        assert topic.events[1]["body"] == WORDS, "it was there to be removed"
        id_ = f"{page['epoch']}-2"
        assert WORDS.encode() in repr(await redis.xrange(STREAM, id_, id_)).encode()

        await pen.erase(2)
        await house.reached(4)
        from_ring = await told(house, page)
        assert [event["type"] for event in from_ring] == ["x", "redacted", "x"]
        assert [event.get("body") for event in from_ring] == ["before", None, "after"]
        assert WORDS.encode() not in b"".join(entry.payload for entry in house.hub.rings[0]._entries)
        while await redis.xrange(STREAM, id_, id_):
            pass
        assert await redis.xlen(STREAM) == 3

        for _ in range(300):
            await pen.append("x", ["topic:b"])
        await house.reached(304)
        assert house.hub.rings[0].floor > 100, "the ring has let go of it"
        from_postgres = await told(house, page)
        assert from_postgres == from_ring

    async with house_of(database, redis_url) as again:
        assert await told(again, page) == from_ring, "and a new process never sees it"
