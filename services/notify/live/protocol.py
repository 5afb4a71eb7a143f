"""uvicorn's sans-I/O WebSocket protocol with a bulk path: ready-made frames straight to the transport.

It offers itself to the application as an ASGI scope extension. Handshake, parsing what comes in, and the closing
handshake stay uvicorn's; what fails to parse closes with 4501 instead of the RFC's codes, so that clients stay away.
"""

import struct
from array import array
from collections.abc import Callable
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Close as CloseFrame
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from services.notify.live import metrics
from services.notify.live.bucket import Bucket
from services.notify.live.codes import CLOSE_TIMEOUT, FRAME_BURST, FRAMES_PER_SECOND, Close
from services.notify.live.session import SHUT
from shared import clock

EXTENSION = "chorus.live"
PARSED = 4_096
"""Bytes that are parsed before it is asked whether to go on: the transport hands over up to 256 KB, 40,000 frames."""
PARTS = 1_000
"""Parts that a message may come in: empty ones add nothing to its size."""
_AT_ONCE = struct.pack("ii", 1, 0)


class LiveProtocol(WebSocketsSansIOProtocol):
    """One socket. `heard`: loop time when the peer last gave a sign of life; `written`: bytes ever given to the
    transport; `descriptor`: the kernel's, where frames go as they are; `paused`: a quarter of the bound waits to go
    out; `share`: the rest of it, which one write may add; `ended`: our code when we closed it.

    The lane is shut before anything is given to the transport, and before the transport may close the descriptor: that
    always calls `connection_lost` first."""

    heard = 0.0
    written = 0
    paused = False
    descriptor = SHUT
    share = 49_152
    ended: Close | None = None
    on_pause: Callable[[], None] | None = None
    on_resume: Callable[[], None] | None = None
    _descriptors = array("i", [SHUT])
    _lane = 0
    _deaf = False
    _bearable: Bucket | None = None

    def handle_connect(self, event: Request) -> None:
        """Puts this object into the scope, beside uvicorn's own extensions."""
        super().handle_connect(event)
        if self.transport.get_extra_info("sslcontext") is None:
            self.descriptor = self.transport.get_extra_info("socket").fileno()
        if hasattr(self, "scope"):
            cast(dict[str, Any], self.scope["extensions"])[EXTENSION] = self

    def bound(self, size: int) -> None:
        """No more than `size` bytes wait to go out, unless one entry's frames alone are more."""
        self.share = size - size // 4
        self.transport.set_write_buffer_limits(high=size // 4, low=size // 16)

    def forget_handshake(self) -> None:
        """Headers and the like are not needed any more; they were 4 KB of an idle socket's 27 (measured)."""
        self.scope["headers"] = []
        self.scope["state"] = {}
        del self.request, self.response

    def waiting(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()

    def taken(self) -> int:
        """Bytes of `write` that the kernel has taken; grows while the peer reads."""
        return self.written - self.waiting()

    def board(self, descriptors: "array[int]", lane: int) -> None:
        """See Outlet."""
        self._descriptors, self._lane = descriptors, lane

    def clear(self) -> bool:
        """See Outlet. With TLS the transport is always in the way.

        While nothing waits before them frames go straight to the kernel: the transport's own way, which ends there too,
        costs a round to thousands a quarter more (measured).
        """
        if self._closed() or self.paused or self.transport.get_write_buffer_size():
            return False
        self._descriptors[self._lane] = self.descriptor
        return self.descriptor != SHUT

    def offer(self, frames: bytes) -> bool:
        """Takes a round's frames, unless they do not fit now: what is larger than the share does while nothing waits.

        A closed socket ignores them, and has taken them.
        """
        if self.paused:
            return False
        if len(frames) > self.share and self.waiting() and not self._closed():
            return False
        self.write(frames)
        return True

    def tell(self, frames: bytes) -> None:
        """Writes what is no part of a round or a replay. A peer that lets too much of that wait is closed with 4002."""
        waiting = self.waiting()
        if waiting and waiting + len(frames) > self.share + self.share // 3:
            self.end(Close.TOO_SLOW)
        else:
            self.write(frames)

    async def drained(self) -> None:
        """Returns when the write buffer has drained, at once when it isn't full, or when the connection is gone."""
        await self.writable.wait()

    def write(self, frames: bytes) -> None:
        """Hands ready-made frames to the transport, joined or single; a closed one ignores them."""
        if not self._closed():
            self.written += len(frames)
            self._shut()
            self.transport.write(frames)

    def _closed(self) -> bool:
        return self.close_sent or self.disconnected or self.transport.is_closing()

    def _shut(self) -> None:
        self._descriptors[self._lane] = SHUT

    def end(self, code: Close) -> None:
        """Closes with `code`. When the write buffer is full the code could not arrive: the connection is cut."""
        if self.close_sent or self.disconnected:
            return
        self._shut()
        metrics.CLOSES.labels(int(code)).inc()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code), "reason": code.reason})
        self.close_sent = True
        self.ended = code
        if self.paused or code is Close.TOO_SLOW:
            self._cut()
            return
        # A frame of our own: the parser may have failed, and then uvicorn's connection has a close of its own queued.
        frame = Frame(Opcode.CLOSE, CloseFrame(int(code), code.reason).serialize())
        self.transport.write(frame.serialize(mask=False))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        patience = 1.0 if self.conn.parser_exc is not None else CLOSE_TIMEOUT  # its answer will not be understood
        self.close_timer = self.loop.call_later(patience, self._cut)

    def _cut(self) -> None:
        """Ends the connection with a reset: what the kernel still holds for a peer that does not read goes with it."""
        if (socket := self.transport.get_extra_info("socket")) is not None and not self.transport.is_closing():
            socket.setsockopt(SOL_SOCKET, SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.paused = True
        super().pause_writing()
        if self.on_pause is not None:
            self.on_pause()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.paused = False
        self.heard = clock.monotonic()  # it took what waited; its pong may still lie unread, behind what it asked
        super().resume_writing()
        if self.on_resume is not None:
            self.on_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._shut()
        self.on_pause = self.on_resume = None
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """A peer that is done sending is gone: the transport closes itself."""
        self._shut()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. After our close only the peer's answer matters: the rest is read and dropped."""
        self.heard = clock.monotonic()
        for first in range(0, len(data), PARSED):
            if not self._deaf:
                super().data_received(data[first : first + PARSED])

    def handle_parser_exception(self) -> None:
        """What came in is no WebSocket traffic, or too large."""
        if not self.close_sent:
            self.conn.data_to_send()
            self.end(Close.BAD_FRAMES)

    def handle_ping(self) -> None:
        """Answers a ping, unless the peer does not read: RFC 6455 lets the answer to the latest stand for all."""
        output = self.conn.data_to_send()
        if self._may_come() and not self.paused and not self._closed():
            self._shut()
            self.transport.write(b"".join(output))

    def handle_pong(self, event: Frame) -> None:
        """A sign of life, which `data_received` has noted."""
        self._may_come()

    def handle_cont(self, event: Frame) -> None:
        """Another part of a message."""
        if len(self.frames) >= PARTS:
            self._refuse(Close.BAD_FRAMES)
        elif self._may_come():
            super().handle_cont(event)

    def _may_come(self) -> bool:
        """Whether another frame that is no message is bearable."""
        if self._bearable is None:
            self._bearable = Bucket(FRAMES_PER_SECOND, FRAME_BURST, self.heard)
        if not self._bearable.take(self.heard):
            self._refuse(Close.FLOOD)
        return not self._deaf

    def _refuse(self, code: Close) -> None:
        """The peer is closed and heard no more: what it goes on sending would cost as much as before."""
        self._deaf = True
        self.end(code)

    def handle_close(self, event: Frame) -> None:
        """The peer's close, which is answered; nothing may come behind that."""
        self._shut()
        super().handle_close(event)

    def shutdown(self) -> None:
        """See uvicorn: what is still here when the server ends is closed with 1012."""
        self._shut()
        super().shutdown()

    def send_receive_event_to_app(self) -> None:
        """As uvicorn's, but what is no UTF-8 goes on as lone surrogates, for the application to refuse by a frame."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        event: dict[str, Any] = {"type": "websocket.receive"}
        if self.curr_msg_data_type == "text":
            event["text"] = bytes(data).decode("utf-8", "surrogateescape")
        else:
            event["bytes"] = bytes(data)
        self.queue.put_nowait(event)  # type: ignore[arg-type]
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()


def live_protocol_of(scope: Any) -> LiveProtocol:
    """The protocol behind an ASGI scope. Raises RuntimeError when another server runs the application."""
    found = scope.get("extensions", {}).get(EXTENSION)
    if not isinstance(found, LiveProtocol):
        raise RuntimeError("the live gateway needs uvicorn with services.notify.live.protocol.LiveProtocol")
    return found
