"""Every way that a socket ends, by its code, on a real server."""

import asyncio
import socket as sockets
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from services.notify.live.connection import Timing
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, eventually, house_of, token
from tests.servers import Database


def hurried(**seconds: float) -> Timing:
    """Timing with some of it shortened."""
    timing = Timing()
    for name, value in seconds.items():
        setattr(timing, name, value)
    return timing


def raw(house: House, **options: Any) -> connect:
    """A socket that says nothing by itself."""
    values = {"subprotocols": ["chorus.v1"], "compression": None, "ping_interval": None, "max_size": None}
    return websockets.connect(house.url, **{**values, **options})


async def code_of(socket: ClientConnection) -> int:
    """The close code, whatever comes before it."""
    async with asyncio.timeout(10):
        while True:
            try:
                await socket.recv()
            except websockets.ConnectionClosed:
                assert socket.close_code is not None
                return socket.close_code


async def greeted(socket: ClientConnection, **hello: Any) -> dict[str, Any]:
    """Says hello and returns the welcome."""
    await socket.send(msgspec.json.encode({"type": "hello", "id": 1, **hello}).decode())
    welcome: dict[str, Any] = msgspec.json.decode(await socket.recv())
    assert welcome["type"] == "welcome"
    return welcome


async def test_no_hello_in_time_is_4502(database: Database) -> None:
    async with house_of(database, timing=hurried(hello=0.1)) as house, raw(house) as socket:
        assert await code_of(socket) == 4502


async def test_another_frame_is_no_hello(database: Database) -> None:
    async with house_of(database, timing=hurried(hello=0.2)) as house, raw(house) as socket:
        await socket.send('{"type":"ping","id":9}')
        answer = msgspec.json.decode(await socket.recv())
        assert (answer["type"], answer["id"], answer["code"]) == ("error", 9, "hello_first")
        assert await code_of(socket) == 4502


@pytest.mark.parametrize("offered", [None, ["chorus.v2"]])
async def test_an_unknown_version_is_4505(house: House, offered: list[str] | None) -> None:
    async with raw(house, subprotocols=offered) as socket:
        assert await code_of(socket) == 4505


async def test_a_strange_origin_is_refused_and_ours_is_not(house: House) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await raw(house, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    async with raw(house, origin="http://localhost:8000") as socket:
        await greeted(socket)


async def test_the_fifth_malformed_frame_in_a_minute_is_4501(house: House) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        for _ in range(4):
            await socket.send("no json")
            assert msgspec.json.decode(await socket.recv())["code"] == "malformed"
        await socket.send("no json")
        assert await code_of(socket) == 4501


async def test_a_binary_frame_is_4501(house: House) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        await socket.send(b'{"type":"ping"}')
        assert await code_of(socket) == 4501


@pytest.mark.parametrize("size", [65_537, 5_000_000])
async def test_a_frame_too_large_is_4501(house: House, size: int) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        sending = asyncio.ensure_future(socket.send("x" * size))
        assert await code_of(socket) == 4501
        await asyncio.gather(sending, return_exceptions=True)


async def test_64_kilobytes_are_not_too_large(house: House) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        ping = '{"type":"ping","id":2,"fill":""}'
        await socket.send(ping.replace('""', f'"{"x" * (65_536 - len(ping))}"'))
        assert msgspec.json.decode(await socket.recv()) == {"type": "pong", "id": 2}


async def test_a_flood_is_4007_and_a_burst_is_not(house: House) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        for number in range(30):
            await socket.send(f'{{"type":"ping","id":{number}}}')
        assert [msgspec.json.decode(await socket.recv())["id"] for _ in range(30)] == list(range(30))
        for number in range(60):
            await socket.send(f'{{"type":"ping","id":{number}}}')
        assert await code_of(socket) == 4007


async def test_too_many_sockets_of_one_address_is_4008(database: Database) -> None:
    async with (
        house_of(database, sockets_per_address=2) as house,
        raw(house) as one,
        raw(house) as two,
        raw(house) as three,
    ):
        await greeted(one)
        await greeted(two)
        assert await code_of(three) == 4008
        await one.close()
        await eventually(lambda: len(house.hub.sessions) == 1)
        async with raw(house) as four:
            await greeted(four)


async def test_silence_after_a_ping_is_4003_and_an_answer_is_not(database: Database) -> None:
    async with house_of(database, ping_interval=1) as house, raw(house) as alive:
        await greeted(alive)
        assert await silent_peer_code(house) == 4003
        await alive.send('{"type":"ping","id":6}')
        assert msgspec.json.decode(await alive.recv())["type"] == "pong"


async def silent_peer_code(house: House) -> int:
    """The close code for a peer that reads and never answers anything, pings included."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(
        f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: chorus.v1\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    hello = b'{"type":"hello"}'
    writer.write(bytes([0x81, 0x80 | len(hello), 0, 0, 0, 0]) + hello)
    try:
        async with asyncio.timeout(10):
            while True:
                first, size = await reader.readexactly(2)
                body = await reader.readexactly(
                    size if size < 126 else struct.unpack("!H", await reader.readexactly(2))[0]
                )
                if first == 0x88:
                    return int(struct.unpack("!H", body[:2])[0])
    finally:
        writer.close()


async def test_a_reader_that_stalls_is_4002_and_nobody_else_waits(database: Database, pen: Pen) -> None:
    async with (
        house_of(database, timing=hurried(stall=0.5), write_buffer=16_384) as house,
        LiveClient(house.url) as healthy,
    ):
        await healthy.subscribe("topic:a")
        stalled = await stalled_reader(house, "topic:a")
        for _ in range(12):
            await pen.write_many(200, ["topic:a"], size=3_000)
        await healthy.events("topic:a", 2_400, 20)
        await eventually(lambda: len(house.hub.sessions) == 1)
        with stalled:
            assert reads_to_the_end(stalled) == "cut"


def reads_to_the_end(peer: sockets.socket) -> str:
    """How a connection ends for a reader that wakes up: "cut" or "closed"."""
    try:
        while peer.recv(1 << 20):
            pass
    except ConnectionResetError:
        return "cut"
    return "closed"


async def stalled_reader(house: House, channel: str) -> sockets.socket:
    """A socket with a small receive buffer that subscribed and reads no more."""
    peer = await raw_peer(house, channel)
    await eventually(lambda: len(house.hub.channels[channel].sessions) == 2)
    return peer


async def raw_peer(house: House, *channels: str) -> sockets.socket:
    """A socket with a small receive buffer that said hello, and reads nothing."""
    return await raw_peer_at(house.port, channels)


async def raw_peer_at(port: int, channels: Sequence[str], token: str | None = None) -> sockets.socket:
    """The same at another server, of a member."""
    peer = sockets.socket()
    peer.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    await asyncio.to_thread(peer.connect, ("127.0.0.1", port))
    peer.sendall(
        f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: chorus.v1\r\n\r\n".encode()
    )
    await asyncio.to_thread(peer.recv, 4096)
    hello = {"type": "hello", "token": token, "subscribe": [{"channel": each} for each in channels]}
    peer.sendall(text_frame(hello))
    return peer


def text_frame(frame: dict[str, Any]) -> bytes:
    """A client's frame, masked with zeros."""
    body = msgspec.json.encode(frame)
    size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + struct.pack("!H", len(body))
    return b"\x81" + size + bytes(4) + body


async def test_a_drain_tells_each_its_slot_then_4000(database: Database, pen: Pen) -> None:
    async with house_of(database) as house:
        clients = [LiveClient(house.url) for _ in range(4)]
        for client in clients:
            await client.connect()
        await house.app.gateway.drain(0.4)
        assert [await client.closed() for client in clients] == [4000] * 4
        slots = [next(f["in"] for f in client.frames if f["type"] == "drain") for client in clients]
        assert sorted(slots) == [0.1, 0.2, 0.3, 0.4]
        async with raw(house) as late:
            assert await code_of(late) == 4000


async def test_a_new_epoch_is_4006_and_the_next_connection_lives_in_it(database: Database, pen: Pen) -> None:
    await pen.write("x", ["topic:a"])
    async with house_of(database) as house, LiveClient(house.url) as client:
        before = client.welcome["epoch"]
        held = await client.subscribe("topic:a")
        opened = await pen.new_epoch()
        await pen.write("x", ["topic:a"])
        assert await client.closed() == 4006
        await eventually(lambda: house.ready)
        welcome = await client.connect()
        assert before < opened == welcome["epoch"]
        await client.until(lambda: held.resets == ["epoch"])
        assert not house.fatal


async def test_who_still_waits_for_4006_learns_nothing_more_whoever_was_revoked(database: Database, pen: Pen) -> None:
    account, session = await pen.member()
    inbox = f"inbox:{account}"
    await pen.write("x", [inbox, "topic:a"])
    async with house_of(database, drain=100) as house, LiveClient(house.url, token(account, session)) as client:
        for channel in (inbox, "topic:a"):
            await client.subscribe(channel)
        opened = await pen.new_epoch()
        await pen.revoke(account, session)
        await pen.write("x", [inbox, "topic:a"])
        await eventually(lambda: house.ready and house.hub.epoch == opened)
        await house.reached(3)
        told = len(client.frames)
        await client.send({"type": "subscribe", "id": 9, "channels": [{"channel": inbox}]})
        assert await client.closed() == 4006, "its slot is in 100 s"
        assert not [frame for frame in client.frames[told:] if frame["type"] != "mark"]
        assert not [frame for frame in client.frames if frame.get("seq", 0) > 1]


async def test_a_since_of_a_newer_epoch_is_4005(house: House) -> None:
    async with raw(house) as socket:
        welcome = await greeted(socket)
        since = {"epoch": welcome["epoch"] + 1, "seq": [0]}
        asked = {"type": "subscribe", "id": 2, "channels": [{"channel": "post:1", "since": since}]}
        await socket.send(msgspec.json.encode(asked).decode())
        assert await code_of(socket) == 4005


async def test_when_the_following_breaks_everybody_is_told_and_the_process_is_asked_to_end(
    database: Database, pen: Pen
) -> None:
    async with house_of(database) as house, LiveClient(house.url) as client:
        house.hub.rings[0].end += 5  # as if five entries had never come
        await pen.write("x", ["topic:a"])
        assert await client.closed() == 4004
        assert len(house.fatal) == 1
