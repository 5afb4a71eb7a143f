"""A pooler and a standby together: the primary dies under load, the standby is promoted, the pooler is led to it."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.eventlog.meeting import FRESH_WITHIN
from tests.eventlog.rig import Rig, until
from tests.production.pooler import Pooler, prepared
from tests.production.readers import SLUG, Circle, told
from tests.production.standby import Pair, sockets_of
from tests.production.writers import Writer
from tests.servers import server_folder
from tests.stack import Stack


@pytest.fixture
def pooler(pair: Pair) -> Iterator[Pooler]:
    with server_folder() as folder, Pooler(folder, pair.database, sockets_of(pair.primary)).running() as pooler:
        yield pooler


class Guest:
    """Reads the topic without a pause, from the feed's memory whenever that may be; keeps what it was answered."""

    def __init__(self, url: str) -> None:
        self._address = f"{url}/v1/topics/{SLUG}/posts?limit=100"
        self.answers: list[tuple[float, int, frozenset[str]]] = []
        """When it asked, the status, and the ids of the posts."""

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=30) as http:
            while True:
                asked = time.monotonic()
                with contextlib.suppress(httpx.TransportError):
                    answer = await http.get(self._address)
                    items = answer.json()["items"] if answer.status_code == 200 else []
                    self.answers.append((asked, answer.status_code, frozenset(post["id"] for post in items)))
                await asyncio.sleep(0.05)

    async def sees(self, status: int, post: str | None = None) -> None:
        """Is answered so, by a page with that post on it, at some moment from now on."""
        asked = len(self.answers)

        async def seen() -> bool:
            return any(got == status and (post is None or post in posts) for _, got, posts in self.answers[asked:])

        await until(seen, 40)


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("led", ["before the promotion", "after it"])
async def test_behind_a_pooler_a_promotion_under_load_leaves_everybody_equal_to_postgres(
    pair: Pair, pooler: Pooler, redis_url: str, tmp_path: Path, led: str
) -> None:
    await prepared(pooler.database)
    stack = Stack(pooler.database, redis_url, tmp_path, {})
    try:
        stack.start()
        circle = await Circle.gathered(stack)
        (anna, bert, cleo), kept, readers = circle
        epoch = readers[0].client.welcome["epoch"]
        writer, guest = Writer(cleo), Guest(stack.url)
        running = [asyncio.create_task(each.run()) for each in (writer, guest)]
        await writer.more(20)
        replicated = list(writer.made)
        await asyncio.to_thread(pair.caught_up)
        await asyncio.to_thread(pair.cut)
        await writer.more(10)
        lost = await circle.loses()
        await guest.sees(200, lost["id"])

        pair.primary.send(signal.SIGKILL)
        await guest.sees(503)
        dead = time.monotonic() + FRESH_WITHIN  # so long a page may still come from memory
        await asyncio.sleep(FRESH_WITHIN)
        if led == "before the promotion":
            pooler.lead_to(sockets_of(pair.standby))
            await guest.sees(200)  # by the standby, which is nobody's primary yet: reads are good, writes refused
            refused, made = writer.refused, len(writer.made)

            async def refuses() -> bool:
                return writer.refused > refused

            await until(refuses)
            assert len(writer.made) == made
            await asyncio.to_thread(pair.promote)
        else:
            await asyncio.to_thread(pair.promote)
            pooler.lead_to(sockets_of(pair.standby))
        await asyncio.gather(*(reader.closed_by_a_new_epoch() for reader in readers))
        stack.feed.wait_ready()
        stack.notify.wait_ready()
        acknowledged = len(writer.made)
        await writer.more(20)
        for reader in readers:
            await reader.open()
            assert reader.client.welcome["epoch"] > epoch
        await bert.comment(kept, "Told after.")
        await writer.more(5)
        assert not [task for task in running if task.done()], "every answer was 201, 200 or 503"
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

        await circle.ended_equal(lost, {kept["id"], *replicated, *writer.made[acknowledged:]})
        late = [posts for asked, _, posts in guest.answers if asked > dead]
        assert late
        assert not [posts for posts in late if lost["id"] in posts], "nothing comes from a dead primary"

        await told(stack, anna, 2)
        async with Rig(pair.database, redis_url) as rig:
            await rig.settle()
            await rig.check()
            there = {str(row["id"]) for row in await rig.pool.fetch("SELECT id FROM feed.post")}
            assert there == readers[0].page.posts.keys()
        await circle.leave()
    except BaseException:
        for service in stack.services:
            print(service.name, service.tail())
        raise
    finally:
        stack.stop()
