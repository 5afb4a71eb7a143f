"""Request heads of bounded size. uvicorn's httptools reads a request's line and headers however long they are.

So anybody could fill a process's memory by a header that never ends; bodies have bounds of their own.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024
"""Bytes of a head that is not complete: honest ones have two thousand. What comes in one read may be a little more."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, which answers 431 and closes when a head grows past MAX_HEAD."""

    _head = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > MAX_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The body begins."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next head may begin."""
        self._in_head, self._head = True, 0
        super().on_message_complete()
