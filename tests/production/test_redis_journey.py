"""The whole of Chorus on Redis behind Sentinels, and on a cluster with four logs; nothing but the address differs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.people import Member
from tests.live_client import LiveClient
from tests.needed import needed
from tests.production.commands import chorus
from tests.production.readers import told
from tests.production.redises import Cluster, Sentinels
from tests.servers import Database, server_folder
from tests.stack import Stack

pytestmark = pytest.mark.long


@contextmanager
def redis_as(kind: str) -> Iterator[str]:
    program = needed("redis-server", "redis-server")
    with server_folder() as folder:
        if kind == "sentinels":
            with Sentinels(program, folder).running() as sentinels:
                yield sentinels.url
        else:
            with Cluster(program, folder).running() as cluster:
                yield cluster.url


@pytest.mark.parametrize(("kind", "logs"), [("sentinels", 1), ("cluster", 4)])
async def test_posts_and_notifications_arrive(kind: str, logs: int, database: Database, tmp_path: Path) -> None:
    with redis_as(kind) as url:
        stack = Stack(database, url, tmp_path, {"CHORUS_LOGS": str(logs)})
        try:
            stack.start()
            async with (
                await Member.sign_up(stack.url, "anna") as anna,
                await Member.sign_up(stack.url, "bert") as bert,
                LiveClient(stack.notify.live_url, anna.token) as client,
            ):
                assert client.welcome["logs"] == logs
                await client.subscribe("topic:nodes")
                posts = [await anna.post(f"Number {number}. #nodes") for number in range(12)]
                for post in posts:
                    await bert.comment(post, "Seen.")

                def all_here() -> bool:
                    told = client.subscriptions["topic:nodes"].events
                    return {post["id"] for post in posts} <= {e["post"]["id"] for e in told if "post" in e}

                await client.until(all_here, 30)

                await told(stack, anna, 12)
                for service in (stack.url, stack.notify.url):
                    ready = (await anna.http.get(f"{service}/readyz")).json()
                    assert (ready["status"], ready["broken"]) == ("ok", [])
                traced = await chorus(stack.feed._env, "trace", posts[0]["id"])
                assert "topic:nodes: 1 now, 0 of them guests'; it went to 1" in traced
                assert "not asked" not in traced
                audit = await chorus(stack.feed._env, "audit")
                assert "BAD" not in audit
                said = await chorus(stack.feed._env, "doctor")
                assert said.count("stream chorus:log:") == logs
        finally:
            stack.stop()
