"""`chorus trace` asks real notify processes about sockets: of each the truth, and from all of them."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest
from redis.asyncio import Redis

from services.notify.live.testimony import CHANNEL
from services.notify.trace.answer import Socket, Trace
from services.notify.trace.tracing import trace
from tests.e2e.people import Json, Member
from tests.e2e.test_refusals import chorus
from tests.live_client import LiveClient
from tests.notify.live.house import Pen, pen_of
from tests.notify.live.test_closing import raw_peer_at
from tests.servers import Database
from tests.stack import SECRET, Stack

TOPIC = "topic:ladders"
T = TypeVar("T")


class Room:
    """A member with sockets on two processes, and a trace of what they had of a post."""

    def __init__(self, services: Stack, pen: Pen, notify: "asyncpg.Connection[asyncpg.Record]", redis_url: str) -> None:
        self.services, self.pen, self.redis_url = services, pen, redis_url
        self._notify = notify
        self.stack = contextlib.AsyncExitStack()

    async def member(self, name: str) -> Member:
        return await self.stack.enter_async_context(await Member.sign_up(self.services.url, name))

    async def tab(
        self, member: Member | None, process: int = 0, *channels: str, since: Json | None = None
    ) -> LiveClient:
        """A socket on one of the processes that follows these channels."""
        token = member.token if member else None
        client = await self.stack.enter_async_context(LiveClient(self.services.notifies[process].live_url, token))
        for channel in channels:
            await client.subscribe(channel, since)  # type: ignore[arg-type]
        return client

    async def trace(self, post: Json, member: Member | None = None, redis_url: str | None = None) -> Trace:
        """What a trace of the post says."""
        handle = member.account["handle"] if member else None
        url = self.redis_url if redis_url is None else redis_url
        async with self._notify.transaction(isolation="repeatable_read", readonly=True):
            return await trace(self._notify, url, int(post["id"]), handle)

    async def sockets_when(
        self, post: Json, member: Member, true: Callable[[dict[str, Socket]], bool]
    ) -> dict[str, Socket]:
        """`sockets`, once that is true of them: what a process knows is no frame's to announce."""
        await self.numbered(post)
        return await _once(lambda: self.sockets(post, member), true)

    async def numbered(self, post: Json) -> None:
        """The post's event has its position."""
        await _once(lambda: self.trace(post), lambda found: found.events[0].position is not None)

    async def sockets(self, post: Json, member: Member) -> dict[str, Socket]:
        """By session, what each socket had of the post's `post.created`."""
        created = (await self.trace(post, member)).events[0]
        assert created.member is not None
        assert created.member.sockets is not None
        return {each.session: each for each in created.member.sockets}


async def _once(ask: Callable[[], Awaitable[T]], true: Callable[[T], bool]) -> T:
    async with asyncio.timeout(20):
        while not true(found := await ask()):  # noqa: ASYNC110 - the processes are others, and have no event for tests
            await asyncio.sleep(0.05)
    return found


@pytest.fixture
async def room(services: Stack, database: Database, redis_url: str) -> AsyncIterator[Room]:
    services.more_notify()
    notify = await asyncpg.connect(database.url_notify)
    async with pen_of(database) as pen:
        room = Room(services, pen, notify, redis_url)
        async with room.stack:
            yield room
    await notify.close()


async def shown(tab: LiveClient, post: Json) -> None:
    """The socket has had the post."""
    await tab.until(lambda: any(f.get("event", {}).get("post", {}).get("id") == post["id"] for f in tab.frames))


def session(tab: LiveClient) -> str:
    found: str = tab.welcome["session"]
    return found


async def test_each_socket_of_a_member_has_its_own_answer(room: Room) -> None:
    ann = await room.member("ann")
    await room.member("bob")
    first = await ann.post("Who has one? #Ladders")
    early_home = await room.tab(ann, 0, "home")
    between = await ann.post("Anybody? #Ladders")
    await ann.call("PUT", "/v1/topics/ladders/membership")
    await early_home.until(lambda: early_home.latest["type"] == "home.changed")
    before = (await ann.get("/v1/topics/ladders"))["as_of"]
    follows = await room.tab(ann, 0, TOPIC)
    elsewhere = await room.tab(ann, 1, "topic:bicycles")
    at_home = await room.tab(ann, 1, "home")
    left = await room.tab(ann, 1, TOPIC)
    await left.unsubscribe(TOPIC)
    await left.until(lambda: left.latest["type"] == "unsubscribed")
    closed = await room.tab(ann, 0, TOPIC)
    await closed.close()
    await room.sockets_when(first, ann, lambda found: found[session(closed)].closed_at is not None)

    post = await ann.post("Found one. #Ladders")
    await shown(follows, post)
    after = (await ann.get(f"/v1/posts/{post['id']}/comments"))["as_of"]  # read when `follows` had it: not older
    came_back = await room.tab(ann, 1, TOPIC, since=before)
    holds = await room.tab(ann, 0, TOPIC, since=after)
    later = await room.tab(ann, 1, TOPIC)
    await at_home.until(lambda: any(f.get("channel") == TOPIC for f in at_home.frames))

    found = await room.sockets(post, ann)
    said = {
        name: (found[session(tab)].reached, found[session(tab)].open_then)
        for name, tab in {
            "follows": follows,
            "elsewhere": elsewhere,
            "at home": at_home,
            "at home before the topic": early_home,
            "left": left,
            "closed": closed,
            "came back": came_back,
            "holds": holds,
            "later": later,
        }.items()
    }
    assert said == {
        "follows": ("delivered", True),
        "elsewhere": ("not followed", True),
        "at home": ("delivered", True),
        "at home before the topic": ("delivered", True),
        "left": ("left before", True),
        "closed": ("closed before", False),
        "came back": ("delivered", False),
        "holds": ("held", False),
        "later": ("joined later", False),
    }
    assert found[session(at_home)].by == "home"
    assert found[session(came_back)].since == f"{before['epoch']}-{before['seq'][0]}"
    assert found[session(elsewhere)].why == "it followed topic:bicycles"
    gone = found[session(closed)]
    assert (gone.code, gone.closed_at is not None, gone.through is not None) == (None, True, True)
    assert found[session(follows)].process != found[session(elsewhere)].process
    assert len((await room.trace(first, ann)).sessions.processes) == 2
    assert (await room.sockets(between, ann))[session(early_home)].reached == "joined later"


async def _sip(peer: socket.socket) -> None:
    """Reads a little at a time, so that it is slow for as long as the test takes and never 4002."""
    peer.setblocking(False)
    size = 1
    while size:
        size = len(await asyncio.get_running_loop().sock_recv(peer, 8_192))
        await asyncio.sleep(0.02)


async def test_a_socket_that_reads_slowly_is_behind_and_the_others_are_not(room: Room) -> None:
    ann = await room.member("ann")
    first = await ann.post("Who has one? #Ladders")
    reads = await room.tab(ann, 0, TOPIC)
    port = int(room.services.notifies[1].url.rpartition(":")[2])
    with contextlib.closing(await raw_peer_at(port, [TOPIC], ann.token)) as peer:
        await room.sockets_when(first, ann, lambda found: sum(s.by == TOPIC for s in found.values()) == 2)
        fill = b'{"fill":"%s"}' % (b"x" * 900_000)
        for _ in range(16):  # more than the kernel takes for somebody who reads so little
            await room.pen.append("x", [TOPIC], fill)
        room.stack.callback(asyncio.create_task(_sip(peer)).cancel)
        post = await ann.post("Found one. #Ladders")
        await shown(reads, post)
        # The other process may still be handing it out.
        found = await room.sockets_when(post, ann, lambda found: any("reads slowly" in s.why for s in found.values()))
        [slow] = [each for name, each in found.items() if name != session(reads)]
        assert found[session(reads)].reached == "delivered"
        assert (slow.reached, slow.open_then) == ("behind", True)
        assert slow.unsent > 0


async def test_without_a_member_the_sockets_of_everybody_are_counted(room: Room) -> None:
    ann, bob = await room.member("ann"), await room.member("bob")
    await ann.post("Who has one? #Ladders")
    before = (await ann.get("/v1/topics/ladders"))["as_of"]
    tabs = [await room.tab(ann, 0, TOPIC), await room.tab(bob, 1, TOPIC), await room.tab(None, 1, TOPIC)]
    post = await ann.post("Found one. #Ladders")
    for tab in tabs:
        await shown(tab, post)
    await room.tab(None, 0, TOPIC)
    await room.tab(None, 0, TOPIC, since=before)
    created = (await room.trace(post)).events[0]
    assert created.crowds is not None
    [crowd] = created.crowds
    counts = (crowd.channel, crowd.sockets, crowd.guests, crowd.reached, crowd.behind, crowd.held, crowd.later)
    assert counts == (TOPIC, 5, 3, 4, 0, 0, 1)


async def test_a_silent_process_and_an_absent_redis_are_told_and_the_rest_is_answered(room: Room) -> None:
    ann = await room.member("ann")
    post = await ann.post("Who has one? #Ladders")
    tab = await room.tab(ann, 0, TOPIC)
    await room.numbered(post)  # before that no process is asked
    stopped = room.services.notifies[1]
    stopped.send(signal.SIGSTOP)
    try:
        found = await room.trace(post, ann)
        assert (found.sessions.heard, len(found.sessions.processes)) == (2, 1)
    finally:
        stopped.send(signal.SIGCONT)
    for url in ("", "redis://127.0.0.1:1"):
        found = await room.trace(post, ann, url)
        assert found.sessions.away is not None
        assert found.events[0].member is not None
        assert found.events[0].member.sockets is None
        assert found.events[0].position is not None
    async with Redis.from_url(room.redis_url) as redis:
        for nonsense in (b"{}", b"\xff", b'{"id":"a","installation":"other","account":null,"places":[]}'):
            await redis.publish(CHANNEL, nonsense)
    assert session(tab) in await room.sockets(post, ann)
    assert all(service.running for service in room.services.notifies)


async def test_the_command_says_it_in_words(room: Room, tmp_path: Path, database: Database) -> None:
    ann = await room.member("ann")
    tab = await room.tab(ann, 0, "topic:bicycles")
    post = await ann.post("Who has one? #Ladders")
    handle = ann.account["handle"]
    urls = {"DATABASE_URL": database.url_feed, "NOTIFY_DATABASE_URL": database.url_notify}

    async def ask(*arguments: str) -> str:
        given = {**urls, "REDIS_URL": room.redis_url, "SECRET_KEY": SECRET}
        await room.numbered(post)
        done = await asyncio.to_thread(lambda: chorus(tmp_path, "trace", post["id"], *arguments, **given))
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = await ask("--member", handle)
    assert f"  {handle}: socket {session(tab)} of " in said
    assert "not followed. it followed topic:bicycles" in said
    assert "sessions: " in said
    answer = json.loads(await ask("--member", handle, "--json"))
    assert answer["events"][0]["member"]["sockets"][0]["reached"] == "not followed"
    await tab.close()
    await room.sockets_when(post, ann, lambda found: found[session(tab)].closed_at is not None)
    post = await ann.post("Nobody? #Ladders")
    assert "sockets: none of theirs is known to have been connected when it was numbered" in await ask(
        "--member", handle
    )
