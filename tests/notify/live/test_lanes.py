"""What goes straight to a socket goes there alone, in its order, and to nobody who has the same number later."""

import asyncio
import os
import socket as sockets
import time
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from services.notify.live.codes import Close
from services.notify.live.lanes import Audience
from services.notify.live.protocol import LiveProtocol
from services.notify.live.session import SHUT, Session, Subscription
from shared.eventlog.entries import Entry
from tests.notify.live.house import House, eventually
from tests.notify.live.judge import Client
from tests.notify.live.test_bounds import narrow, received
from tests.notify.live.test_closing import raw_peer, text_frame
from tests.notify.live.test_hub import Stage


class Straight(Client):
    """A client whose lane can be opened; `looked` counts how often it was asked to."""

    def __init__(self, truth: "list[list[Entry]]") -> None:
        super().__init__(truth)
        self.near, self.far = sockets.socketpair()
        self.far.setblocking(False)
        self.looked = 0

    def board(self, descriptors: "array[int]", lane: int) -> None:
        self.descriptors, self.lane = descriptors, lane

    def clear(self) -> bool:
        self.looked += 1
        self.descriptors[self.lane] = self.near.fileno()
        return True

    def got(self) -> bytes:
        """What has come since."""
        try:
            return self.far.recv(65_536)
        except BlockingIOError:
            return b""


class Street(Stage):
    """One log, and clients that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.hub.exit(self.session)
        self.came: list[Straight] = []


@pytest.fixture
def stage() -> Iterator[Street]:
    stage = Street()
    yield stage
    stage.hub._lanes.close()
    for client in stage.came:
        client.near.close()
        client.far.close()


def come(stage: Street, channel: str) -> tuple[Session, Straight]:
    """Somebody follows a channel."""
    client = Straight(stage.truth)
    stage.came.append(client)
    session = Session(client, 0.0)
    stage.hub.enter(session)
    stage.recovery.start(session, Subscription(channel, 1, None))
    return session, client


async def test_a_round_looks_at_open_lanes_alone(stage: Street) -> None:
    [(_, ada), (_, bob)] = [come(stage, "topic:a") for _ in range(2)]
    for _ in range(3):
        stage.write("x", "topic:a")
        await stage.hub.round()
    assert (ada.looked, bob.looked) == (1, 1)
    assert ada.got() == bob.got() != b""


async def test_who_comes_in_the_middle_of_a_round_gets_nothing_of_whoever_left(
    stage: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notify.live.hub.SLICE", 1)
    come(stage, "topic:a")
    left, was = come(stage, "topic:a")
    stage.write("x", "topic:a")
    under_way = stage.hub.round()
    under_way.send(None)
    stage.hub.exit(left)
    _, comes = come(stage, "topic:b")
    comes.clear()
    with suppress(StopIteration):
        while True:
            under_way.send(None)
    assert (was.got(), comes.got()) == (b"", b"")
    for channel in ("topic:a", "topic:b"):
        stage.write("x", channel)
        await stage.hub.round()
    assert was.got() == b""
    assert b"topic:a" not in (got := comes.got())
    assert b"topic:b" in got


async def test_a_lane_that_is_used_again_brings_nothing_of_whoever_had_it(stage: Street) -> None:
    come(stage, "topic:a")
    left, was = come(stage, "topic:a")
    stage.write("x", "topic:a")
    await stage.hub.round()
    assert was.got() != b""
    lane = left.lane
    stage.hub.exit(left)
    stage.write("x", "topic:b")
    await stage.hub.round()
    _, comes = come(stage, "topic:b")
    assert comes.lane == lane
    comes.clear()
    stage.write("x", "topic:a")
    await stage.hub.round()
    assert (was.got(), comes.got()) == (b"", b"")


async def test_lanes_are_used_again_once_no_round_knows_them(stage: Street) -> None:
    for _ in range(20):
        session, _ = come(stage, "topic:a")
        stage.hub.exit(session)
        stage.hub.exit(session)
        await stage.hub.round()
    assert len(stage.hub._lanes.descriptors) <= 3
    assert list(stage.hub._lanes.descriptors) == [SHUT] * len(stage.hub._lanes.descriptors)


async def test_the_lane_of_who_leaves_and_is_still_followed_is_nobody_s_any_more(
    stage: Street, capsys: pytest.CaptureFixture[str]
) -> None:
    session, was = come(stage, "topic:a")
    stage.write("x", "topic:a")
    await stage.hub.round()
    assert was.got() != b""
    session.subscriptions.clear()  # whatever forgot it
    stage.hub.exit(session)
    assert "session_still_followed" in capsys.readouterr().out
    await stage.hub.round()
    _, comes = come(stage, "topic:b")
    comes.clear()
    stage.write("x", "topic:a")
    await stage.hub.round()
    assert (was.got(), comes.got()) == (b"", b"")


async def test_nobody_who_has_left_follows_anything(stage: Street) -> None:
    session, _ = come(stage, "topic:a")
    stage.hub.exit(session)
    with pytest.raises(AssertionError, match="has ended"):
        stage.hub.follow(session, "topic:a")


async def test_a_parcel_holds_what_each_channel_of_a_socket_brings(stage: Street) -> None:
    both, ada = come(stage, "topic:a")
    stage.recovery.start(both, Subscription("topic:b", 2, None))
    _, bob = come(stage, "topic:b")
    stage.write("x", "topic:b")
    stage.write("x", "topic:a")
    await stage.hub.round()
    assert [b"topic:a" in (of_ada := ada.got()), b"topic:b" in of_ada] == [True, True]
    assert [b"topic:a" in (of_bob := bob.got()), b"topic:b" in of_bob] == [False, True]


def test_an_audience_knows_its_lanes_whoever_comes_and_goes() -> None:
    audience, sessions = Audience(), [Session(Client([[]]), 0.0) for _ in range(3)]
    for lane, session in enumerate(sessions, 1):
        session.lane = lane
        assert (audience.add(session), audience.add(session)) == (True, False)
        assert list(audience.lanes()) == [*range(1, lane + 1)]
    assert (audience.discard(sessions[1]), audience.discard(sessions[1])) == (True, False)
    assert (list(audience.lanes()), list(audience), len(audience)) == ([1, 3], [sessions[0], sessions[2]], 2)
    assert sessions[1] not in audience


# The same with a server's own sockets.


@pytest.fixture
async def peer(house: House) -> AsyncIterator[sockets.socket]:
    """Somebody who said hello, and was welcomed."""
    with closing(await raw_peer(house)) as peer:
        peer.settimeout(5)
        await eventually(lambda: house.hub.sessions)
        yield peer


async def opened(house: House, peer: sockets.socket) -> LiveProtocol:
    """Its other end, with an open lane: a round has brought it something."""
    protocol = await narrow(house, peer)
    await asyncio.to_thread(received, peer, protocol.written)  # the welcome
    assert house.hub._lanes.hand([(protocol._lane, b"open")]) == []
    assert house.hub._lanes.descriptors[protocol._lane] == protocol.descriptor
    assert await asyncio.to_thread(received, peer, 4) == b"open"
    return protocol


@pytest.mark.parametrize("hands", ["tell", "write"])
async def test_what_a_round_brings_comes_behind_what_was_told_before(
    house: House, peer: sockets.socket, hands: str
) -> None:
    protocol = await opened(house, peer)
    size = filled(protocol.descriptor)
    getattr(protocol, hands)(b"told")
    assert protocol.waiting() == 4
    reading = asyncio.create_task(asyncio.to_thread(received, peer, size + 9))
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - the kernel has room again, and the transport could not know it yet
    assert house.hub._lanes.hand([(protocol._lane, b"round")]) == []
    assert (await reading)[size:] == b"toldround"


def filled(descriptor: int) -> int:
    """The kernel takes nothing more; how many bytes that took."""
    size = 0
    with suppress(BlockingIOError):
        while True:
            size += os.write(descriptor, b"." * 1_000)
    return size


@pytest.mark.parametrize("how", ["ended", "cut", "by the peer", "half closed", "server's end"])
async def test_nothing_comes_behind_the_end(house: House, peer: sockets.socket, how: str) -> None:
    protocol = await opened(house, peer)
    lanes, lane = house.hub._lanes, protocol._lane
    if how == "by the peer":
        protocol.data_received(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
    elif how == "half closed":
        protocol.eof_received()
        protocol.transport.close()  # as it does itself then
    elif how == "server's end":
        protocol.shutdown()
    else:
        protocol.end(Close.DRAIN if how == "ended" else Close.TOO_SLOW)
    assert lanes.descriptors[lane] == SHUT
    assert lanes.hand([(lane, b"behind the end")]) == []
    assert b"behind" not in await asyncio.to_thread(rest, peer)


def rest(peer: sockets.socket) -> bytes:
    """All until the end, which may be a reset; after a close frame it is answered."""
    found = b""
    try:
        while more := peer.recv(4096):
            found += more
            if b"\x88" in more:
                peer.sendall(b"\x88\x80" + bytes(4))
    except ConnectionResetError:
        pass
    return found


async def test_a_lane_is_shut_before_its_descriptor_is_free(
    house: House, peer: sockets.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = await opened(house, peer)
    descriptors, lane = house.hub._lanes.descriptors, protocol._lane
    seen: list[int] = []
    whole = WebSocketsSansIOProtocol.connection_lost

    def watched(self: LiveProtocol, exc: Exception | None) -> None:
        os.fstat(protocol.descriptor)  # it is nobody else's yet
        seen.append(descriptors[lane])
        whole(self, exc)

    monkeypatch.setattr(WebSocketsSansIOProtocol, "connection_lost", watched)
    protocol.transport.abort()
    await eventually(lambda: seen)
    assert seen == [SHUT]


async def test_an_answered_ping_is_not_overtaken(house: House, peer: sockets.socket) -> None:
    protocol = await opened(house, peer)
    peer.sendall(b"\x89\x80" + bytes(4))
    assert await asyncio.to_thread(received, peer, 2) == b"\x8a\x00"
    assert house.hub._lanes.descriptors[protocol._lane] == SHUT


async def test_behind_tls_frames_take_the_transport_s_way(house: House, peer: sockets.socket) -> None:
    protocol = await narrow(house, peer)
    await asyncio.to_thread(received, peer, protocol.written)
    protocol.descriptor = SHUT  # as handle_connect leaves it there
    before = protocol.written
    assert house.hub._lanes.hand([(protocol._lane, b"enciphered")]) == []
    assert await asyncio.to_thread(received, peer, 10) == b"enciphered"
    assert protocol.written == before + 10
    peer.sendall(text_frame({"type": "ping"}))
    assert b"pong" in await asyncio.to_thread(peer.recv, 4096)
