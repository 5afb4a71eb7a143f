"""Guests' pages in memory: served while nothing happened, gone when something did, wherever it was written."""

import asyncio
import time
from typing import Any, cast

import pytest

from services.feed.api.guests import Guests
from services.feed.memory import GuestPage, Memory
from shared import clock
from shared.wire import AsOf
from tests.feed.community import Community, made
from tests.feed.conftest import Serve
from tests.feed.test_reading import number

KEY = ("/v1/topics/calm", b"")


def page(channel: str = "topic:calm", size: int = 10) -> GuestPage:
    return GuestPage(channel=channel, etag=b'"x"', headers=[], short_headers=[], body=b"x" * size)


@pytest.fixture
def memory() -> Memory:
    """A memory that follows one log from position 10."""
    made_here = Memory()
    made_here.fresh = lambda: True
    made_here.begin(7, [10])
    return made_here


def at(seq: int, epoch: int = 7) -> AsOf:
    return AsOf(epoch=epoch, seq=[seq])


def test_a_page_is_served_until_its_channel_has_an_event(memory: Memory) -> None:
    assert memory.keep(KEY, page(), at(10), memory.moment)
    memory.take(0, 11, ["topic:other"])
    assert memory.get(KEY) is not None
    memory.take(0, 12, ["post:1", "topic:calm"])
    assert memory.get(KEY) is None


def test_a_page_read_before_an_event_that_is_known_is_not_kept(memory: Memory) -> None:
    memory.take(0, 11, ["topic:calm"])
    assert not memory.keep(KEY, page(), at(10), memory.moment)
    assert memory.keep(KEY, page(), at(11), memory.moment)


def test_a_page_read_before_the_log_was_followed_or_in_another_epoch_is_not_kept(memory: Memory) -> None:
    assert not memory.keep(KEY, page(), at(9), memory.moment)
    assert not memory.keep(KEY, page(), at(10, epoch=6), memory.moment)
    assert not memory.keep(KEY, page(), AsOf(epoch=7, seq=[10, 10]), memory.moment)


def test_a_page_read_beside_a_write_of_this_process_is_not_kept(memory: Memory) -> None:
    moment = memory.moment
    memory.touch(["topic:calm"])
    assert not memory.keep(KEY, page(), at(10), moment)
    assert memory.keep(KEY, page(), at(10), memory.moment)
    memory.touch(["topic:calm"])
    assert memory.get(KEY) is None


def test_nothing_is_served_or_kept_while_the_log_is_not_followed(memory: Memory) -> None:
    assert memory.keep(KEY, page(), at(10), memory.moment)
    memory.fresh = lambda: False
    assert memory.get(KEY) is None
    assert not memory.keep(KEY, page(), at(10), memory.moment)
    memory.fresh = lambda: True
    assert memory.get(KEY) is not None
    memory.begin(8, [0])
    assert memory.get(KEY) is None


def test_past_its_age_one_reader_reads_it_again_while_others_are_served(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.keep(KEY, page(), at(10), memory.moment)
    later = clock.monotonic() + 3
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert memory.get(KEY) is None
    assert memory.get(KEY) is not None


def test_channels_that_are_forgotten_count_as_changed(memory: Memory) -> None:
    memory.take(0, 11, ["topic:calm"])
    for seq in range(12, 20_020):
        memory.take(0, seq, [f"post:{seq}"])
    assert not memory.keep(KEY, page(), at(10), memory.moment)
    assert memory.keep(KEY, page(), at(20_020), memory.moment)


def test_memory_is_bounded(memory: Memory) -> None:
    for number_ in range(80):
        memory.keep((f"/{number_}", b""), page(size=1024 * 1024), at(10), memory.moment)
    held = [number_ for number_ in range(80) if memory.get((f"/{number_}", b"")) is not None]
    assert held == list(range(17, 80))


def test_pages_that_say_next_to_nothing_are_bounded_too(memory: Memory) -> None:
    for number_ in range(20_000):
        memory.keep((f"/{number_}", b""), page(size=10), at(10), memory.moment)
    assert memory.get(("/19999", b"")) is not None
    assert memory.get(("/1000", b"")) is None


READ: dict[str, Any] = {"type": "http", "method": "GET", "path": KEY[0], "query_string": b"", "headers": []}


async def rooms(scope: Any, receive: Any, send: Any) -> None:
    """A topic's header, without a feed."""
    headers = [(b"etag", b'W/"x"'), (b"chorus-as-of", b'{"epoch":7,"seq":[10]}')]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def test_a_guest_who_reads_nothing_of_the_answer_keeps_no_other_waiting(memory: Memory) -> None:
    async def never(message: Any) -> None:
        await asyncio.Event().wait()

    told: list[Any] = []

    async def hear(message: Any) -> None:
        told.append(message)

    guests = Guests(cast(Any, rooms), memory)
    stuck = asyncio.create_task(guests(cast(Any, READ), cast(Any, None), never))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await guests(cast(Any, READ), cast(Any, None), hear)
    assert [message["type"] for message in told] == ["http.response.start", "http.response.body"]
    assert memory.get(KEY) is not None
    stuck.cancel()


async def test_an_address_with_something_else_beside_it_has_no_place(memory: Memory) -> None:
    async def hear(message: Any) -> None:
        pass

    guests = Guests(cast(Any, rooms), memory)
    for query in (b"n=1", b"limit=5&n=1", b"xlimit=5", b"limit=5"):
        await guests(cast(Any, {**READ, "query_string": query}), cast(Any, None), hear)
        assert (memory.get((KEY[0], query)) is not None) == (query == b"limit=5")


async def from_memory(community: Community, path: str) -> None:
    """The page comes from memory: twice the same positions while the head moves on."""
    deadline = time.monotonic() + 10
    while True:
        first = await community.get(path)
        await community.owner.execute("update eventlog.tick set seq = seq + 1")
        second = await community.get(path)
        await community.owner.execute("update eventlog.tick set seq = seq - 1")
        if first.headers["chorus-as-of"] == second.headers["chorus-as-of"]:
            assert first.content == second.content
            assert first.headers["x-request-id"] != second.headers["x-request-id"]
            return
        assert time.monotonic() < deadline, "no page came from memory"


async def test_guests_are_answered_from_memory_and_still_see_each_write_at_once(community: Community) -> None:
    ada = await community.member()
    await ada.post("#calm 0")
    for written in range(1, 4):
        await number(community)
        await from_memory(community, "/v1/topics/calm/posts")
        etag = (await community.get("/v1/topics/calm/posts")).headers["etag"]
        same = await community.get("/v1/topics/calm/posts", headers={"If-None-Match": f'"z", {etag}'})
        assert (same.status_code, same.content) == (304, b"")
        assert "content-type" not in same.headers
        await ada.post(f"#calm {written}")
        items = made(await community.get("/v1/topics/calm/posts"))["items"]
        assert items[0]["body"] == f"#calm {written}"


async def test_what_another_process_wrote_replaces_the_page_once_it_is_numbered(serve: Serve) -> None:
    here = await serve()
    ada = await here.member()
    post = await ada.post("#calm")
    await number(here)
    path = f"/v1/posts/{post['id']}"
    await from_memory(here, path)
    await here.owner.execute("update feed.post set body = 'changed elsewhere', version = 2")
    await here.owner.execute(
        "select eventlog.append('1', 'post.edited', array['post:' || $1], convert_to('{}', 'UTF8'))", post["id"]
    )
    await number(here)
    async with asyncio.timeout(10):
        while made(await here.get(path))["body"] != "changed elsewhere":
            pass


async def test_members_are_never_answered_from_memory(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("#calm")
    await number(community)
    path = f"/v1/posts/{post['id']}"
    await from_memory(community, path)
    assert made(await ada.get(path))["mine"] == {"reaction": None}
    await community.owner.execute("update feed.post set body = 'behind our back'")
    assert made(await ada.get(path))["body"] == "behind our back"
