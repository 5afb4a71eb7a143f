"""Thousands of guests on bare sockets: each follows one channel, proves its chain, and comes back when it is told to.

A library's client costs a millisecond a handshake; here a crowd of 5,000 has to fit beside everything else into one
process. It answers pings, which is all that it says beside its hello.
"""

import asyncio
import random
import socket
from typing import Any, NamedTuple

import msgspec

from services.torture.chain import Chain
from services.torture.lives import Life

Json = dict[str, Any]
PATIENCE = 120.0
"""Seconds until a comer must have heard all that it missed."""
ROOM = 1 << 20
GREETING = (
    "GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dG9ydHVyZSB0b3J0dXJlIQ==\r\n"
    "Sec-WebSocket-Protocol: chorus.v1\r\n\r\n"
)
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Comer(asyncio.Protocol):
    """Follows `channel` from `as_of`. `wrong` is what no server may do; `missed`: what came before `subscribed`.

    `window`: bytes that its kernel may hold unread, 0: as the kernel likes.
    """

    def __init__(self, who: str, channel: str, as_of: Json, port: int, window: int = 0) -> None:
        self.life = Life(who, channel, as_of)
        self.chain = Chain(channel)
        self.chain.asked(None, as_of)
        self.wrong: list[str] = []
        self.missed = 0
        self._port = port
        self._window = window
        self._request = 0
        self._transport: asyncio.Transport | None = None
        self._bytes = b""
        self._open = False
        self._settled: asyncio.Future[bool] | None = None

    async def come(self, rng: random.Random) -> None:
        """Returns when it has all that it missed and is live; tries until then. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while True:
                self._settled = loop.create_future()
                try:
                    await loop.create_connection(lambda: self, sock=await self._connected())
                    if await self._settled:
                        return
                except OSError:
                    pass  # its backlog is full, or it is restarting
                await asyncio.sleep(rng.uniform(0.1, 0.5))

    @property
    def local_port(self) -> int:
        """Its end of the connection; 0 when there is none."""
        return 0 if self._transport is None else int(self._transport.get_extra_info("sockname")[1])

    def stop_reading(self) -> None:
        """Its kernel fills up, and tells the other side so."""
        if self._transport is not None:
            self._transport.pause_reading()

    def read_on(self) -> None:
        """With room again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            self._transport.resume_reading()

    def break_off(self) -> bool:
        """The connection breaks without a word; False when there was none."""
        connected = self._transport is not None and self._open
        if self._transport is not None:
            self._transport.abort()
        return connected

    def end(self) -> Life:
        """It leaves; what it has followed, to be compared with the log."""
        self.break_off()
        self.life.end = list(self.chain.mine or self.life.start)
        self.wrong += self.life.wrong
        return self.life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a TCP connection
        self._transport, self._bytes, self._open = transport, b"", False
        transport.write(GREETING.format(port=self._port).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._transport, self._open = None, False
        self._settle(False)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._bytes += data
        if not self._open:
            head, end, rest = self._bytes.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.break_off()
                return
            self._open, self._bytes = True, rest
            self._hello()
        while (frame := _frame(self._bytes)) is not None:
            self._bytes = self._bytes[frame.size :]
            self._take(frame)

    async def _connected(self) -> socket.socket:
        end = socket.socket()
        try:
            end.setblocking(False)
            if self._window:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window)
            await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", self._port))
        except BaseException:
            end.close()
            raise
        return end

    def _hello(self) -> None:
        self._request += 1
        since = self.chain.since
        self.chain.asked(self._request, since)
        asked = [{"channel": self.chain.channel, "since": since}]
        self._send(TEXT, msgspec.json.encode({"type": "hello", "id": self._request, "subscribe": asked}))

    def _take(self, frame: "_Frame") -> None:
        if frame.kind == PING:
            self._send(PONG, frame.body)
        elif frame.kind == TEXT:
            self._judge(msgspec.json.decode(frame.body))

    def _judge(self, frame: Json) -> None:
        pending = self.chain.state == "pending"
        match self.chain.take(frame):
            case "apply":
                self.missed += pending
                self.life.apply(frame)
            case "live":
                self._settle(True)
            case "gap" | "reset" as found:
                self.wrong.append(f"{self.life.who}: a {found} within the ring's reach: {frame}")
                self._settle(True)
        if frame["type"] == "error":  # busy: not now
            self.break_off()

    def _settle(self, live: bool) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(live)

    def _send(self, kind: int, body: bytes) -> None:
        """One frame, masked with zeros."""
        size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2)
        if self._transport is not None:
            self._transport.write(bytes([0x80 | kind]) + size + bytes(4) + body)


class _Frame(NamedTuple):
    kind: int
    body: bytes
    size: int


def _frame(data: bytes) -> _Frame | None:
    """The first whole frame of what a server sent."""
    if len(data) < 2:
        return None
    length, start = data[1], 2
    if length > 125:
        start = 4 if length == 126 else 10
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        return None
    return _Frame(data[0] & 15, data[start : start + length], start + length)
