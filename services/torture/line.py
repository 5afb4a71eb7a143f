"""A client's line: one socket after another, as live.js opens them, and the watch over a silent one.

It knows frames only by their outside; what they mean, and what to ask for, its owner is asked.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection

from services.torture.book import Book

Json = dict[str, Any]

FIRST, LONGEST = 0.1, 3.0
"""Seconds over which the first try to come back is spread, and the longest such wait: a tenth of a page's."""
STEADY = 0.5
"""Seconds live before the next cut counts as a first one."""
SILENCE = 6.0
"""Seconds of silence after which it asks, and as many again after which the connection is taken for dead."""
NOTICED = "dead connections noticed"
"""What the book counts these as."""
NARROW, WIDE = 4096, 1 << 20
"""Bytes that the kernel of a reader who stopped may hold for it, and of one who reads on."""
PATIENCE = 15.0
"""Seconds for a handshake."""


class Line:
    """`hello` gives a connection's first frame, and may fail, which counts as a failed try; `take` gets the rest."""

    def __init__(
        self,
        door: Callable[[], str],
        hello: Callable[[], Awaitable[Json]],
        take: Callable[[Json], Awaitable[None]],
        rng: random.Random,
        book: Book,
    ) -> None:
        self.reading = asyncio.Event()
        self.reading.set()
        self.up = False
        """Whether the welcome has come."""
        self.stood = False
        """Whether it ever stopped reading: it may be told that it is too slow."""
        self._door = door
        self._hello = hello
        self._take = take
        self._rng = rng
        self._book = book
        self._socket: ClientConnection | None = None
        self._heard = 0.0
        self._leave_at = float("inf")
        self._next_id = 0
        self._failures = 0

    async def once(self, failed: tuple[type[Exception], ...]) -> int | None:
        """One connection to its end, and the pause after it: the close code, None when there was none."""
        began, code = time.monotonic(), None
        with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException, *failed):
            code = await self._connection()
        self._socket, self.up = None, False
        self._book.closes[code or 1006] += 1
        self._failures = 0 if time.monotonic() - began > STEADY else self._failures + 1
        await asyncio.sleep(self._rng.random() * min(LONGEST, FIRST * 2.0**self._failures))
        return code

    async def send(self, frame: Json) -> None:
        """The frame goes out, or is lost with the connection."""
        if self._socket is not None:
            with contextlib.suppress(websockets.ConnectionClosed):
                await self._socket.send(msgspec.json.encode(frame).decode())

    def take_id(self) -> int:
        """An id for a request."""
        self._next_id += 1
        return self._next_id

    def leave_in(self, seconds: float) -> None:
        """The server asks us to be gone by then."""
        self._leave_at = time.monotonic() + seconds

    def cut(self) -> bool:
        """The connection breaks without a word; False when there was none."""
        if self._socket is None or not self.up:
            return False
        self._socket.transport.abort()
        return True

    @property
    def full(self) -> bool:
        """Whether what came in fills our own buffers, so that the rest waits with the kernel and the server."""
        return self._socket is not None and not self._socket.transport.is_reading()

    def stop_reading(self) -> None:
        """What comes fills our own buffers, then a kernel that holds little more, then waits with the server."""
        self.stood = True
        self._room(NARROW)
        self.reading.clear()

    def read_on(self) -> None:
        """Everything that waits is read, with room again."""
        self._room(WIDE)
        self.reading.set()

    def _room(self, size: int) -> None:
        if self._socket is not None and not self._socket.transport.is_closing():
            self._socket.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, size)

    async def _connection(self) -> int | None:
        hello = await self._hello()
        connecting = websockets.connect(
            self._door(),
            subprotocols=[websockets.Subprotocol("chorus.v1")],
            compression=None,
            ping_interval=None,
            open_timeout=PATIENCE,
            close_timeout=1,
            max_size=None,
            proxy=None,
        )
        async with connecting as socket:
            self._socket, self._leave_at, self._heard = socket, float("inf"), time.monotonic()
            watch = asyncio.create_task(self._watch(socket))
            try:
                await self.send(hello)
                async for data in socket:
                    self._heard = time.monotonic()
                    await self._take(msgspec.json.decode(data))
                    if not self.reading.is_set():
                        await self.reading.wait()
                        self._heard = time.monotonic()
            except websockets.ConnectionClosed:
                pass
            finally:
                watch.cancel()
            return socket.close_code

    async def _watch(self, socket: ClientConnection) -> None:
        """Leaves when it was told to, and breaks a connection that says nothing."""
        asked = 0.0
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if now >= self._leave_at:
                self._book.counts["drained"] += 1
                await socket.close(1000)
                return
            silent = now - self._heard if self.reading.is_set() else 0
            if silent > 2 * SILENCE:
                self._book.counts[NOTICED] += 1
                socket.transport.abort()
                return
            if silent > SILENCE and now > asked + SILENCE:
                asked = now
                await self.send({"type": "ping", "id": self.take_id()})
