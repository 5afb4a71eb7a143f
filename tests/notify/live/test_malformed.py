"""Nonsense on a real socket: an `error` that names the fault, then the session goes on; or 4501. Never a crash."""

import asyncio
import os

import httpx
import msgspec
import pytest
import websockets
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from tests.live_client import LiveClient
from tests.notify.live.house import House
from tests.notify.live.test_closing import code_of, greeted, raw
from tests.notify.live.test_frames import MALFORMED


async def test_each_malformed_frame_is_answered_and_the_session_goes_on(house: House) -> None:
    texts = [text.encode("utf-8", "surrogatepass") for text in MALFORMED] + [b"\xff\xfe", b'{"type":"ping","x":"\xc3"}']
    for batch in _fours(texts):
        async with raw(house) as socket:
            await greeted(socket)
            for text in batch:
                await socket.send(text, text=True)
                answer = msgspec.json.decode(await socket.recv())
                assert answer["type"] in ("error", "pong"), text[:60]
            await socket.send('{"type":"ping","id":7}')
            assert msgspec.json.decode(await socket.recv()) == {"type": "pong", "id": 7}
    assert not house.fatal


def _fours(texts: list[bytes]) -> list[list[bytes]]:
    return [texts[at : at + 4] for at in range(0, len(texts), 4)]


@pytest.mark.parametrize(
    "bytes_",
    [b"\x81\x05hello", b"\x83\x80\0\0\0\0", b"\xc1\x80\0\0\0\0", b"\x80\x80\0\0\0\0", os.urandom(64)],
    ids=["unmasked", "reserved opcode", "reserved bit", "continuation of nothing", "noise"],
)
async def test_what_is_no_websocket_traffic_is_4501_or_a_cut(house: House, bytes_: bytes) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        socket.transport.write(bytes_ + b"\0" * 200)
        assert await code_of(socket) in (4501, 1006)
    async with raw(house) as next_one:
        await greeted(next_one)


async def test_a_message_in_many_fragments_is_one_message(house: House) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        await socket.send(iter(['{"type":', '"pi', 'ng","id":', "9}"]))
        async with asyncio.timeout(10):
            assert msgspec.json.decode(await socket.recv()) == {"type": "pong", "id": 9}


@pytest.mark.parametrize(
    ("flood", "code"),
    [
        (b"\x89\x80\0\0\0\0" * 50_000, 4007),
        (b"\x8a\x80\0\0\0\0" * 50_000, 4007),
        ((b"\x01\x80\0\0\0\0" + b"\0\x80\0\0\0\0" * 500 + b"\x80\x80\0\0\0\0") * 100, 4007),
        (b"\x01\x80\0\0\0\0" + b"\0\x80\0\0\0\0" * 50_000, 4501),
    ],
    ids=["pings", "pongs", "parts of messages", "a message in too many parts"],
)
async def test_frames_that_are_no_message_are_bounded_too(
    house: House, flood: bytes, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = 0
    parse = WebSocketsSansIOProtocol.data_received

    def counting(self: WebSocketsSansIOProtocol, data: bytes) -> None:
        nonlocal parsed
        parsed += len(data)
        parse(self, data)

    async with raw(house) as socket:
        await greeted(socket)
        monkeypatch.setattr(WebSocketsSansIOProtocol, "data_received", counting)
        socket.transport.write(flood)
        assert await code_of(socket) == code
    assert parsed < 20_000, "what a flood brings is parsed to its end"
    async with LiveClient(house.url) as client:
        await client.subscribe("topic:a")


async def test_a_few_pings_and_parts_are_nothing_special(house: House) -> None:
    async with raw(house) as socket:
        await greeted(socket)
        for n in range(30):
            await socket.send(iter(['{"type":"ping",', *[" "] * 20, f'"id":{n}}}']))
            await (await socket.ping())
            assert msgspec.json.decode(await socket.recv()) == {"type": "pong", "id": n}
            await asyncio.sleep(0.05)


async def test_an_http_request_to_the_socket_s_address_is_told_what_it_is_not(house: House) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{house.port}/v1/live")
    assert answer.status_code == 404
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(f"ws://127.0.0.1:{house.port}/v1/elsewhere")
