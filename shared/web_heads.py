"""Requests of bounded size and time. uvicorn's httptools reads a request's line and headers however long they are, and
waits for the rest for ever: a header without an end would fill a process's memory, heads and bodies that trickle its
sockets. How large a body may be is the doors' own to say.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024
"""Bytes of a head that is not complete: honest ones have two thousand. What comes in one read may be a little more."""
HEAD_SECONDS = 20.0
"""From the connection, or the first byte of a later head, until the head must be there."""
BODY_SECONDS = 300.0
"""From the head until the body must be there: the largest photo over a third of a megabit."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, which answers 431 and closes when a head grows past MAX_HEAD, and 408 when a request
    takes too long to come in."""

    _head = 0
    _in_head = True
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._expect_within(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._in_head:
            self._head += len(data)
            if self._late is None:
                self._expect_within(HEAD_SECONDS)
        super().data_received(data)
        if self._in_head and self._head > MAX_HEAD and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The body begins."""
        self._in_head = False
        self._arrived()
        self._expect_within(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next head may begin."""
        self._in_head, self._head = True, 0
        self._arrived()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The request is there; what the socket may take is the live side's."""
        self._arrived()
        super().handle_websocket_upgrade()

    def _expect_within(self, seconds: float) -> None:
        self._late = self.loop.call_later(seconds, self._refuse, _TOO_SLOW)

    def _arrived(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
