"""Guests' reads from memory, in front of everything else: an answer costs little more than the server does.

Whoever bears credentials goes on to the rooms, and so does every request whose page is not in memory; what the rooms
then answer is kept. Members' pages are theirs alone and come from Postgres: they see their own writes at once.
"""

import asyncio
import re
import secrets
from collections.abc import Callable
from typing import Any, cast

import msgspec
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from services.feed import text
from services.feed.memory import GuestPage, Headers, Memory, PageKey
from services.feed.telling import listen
from shared import clock
from shared.web import DURATION, REQUESTS
from shared.wire import AsOf

_PATH = re.compile(r"/v1/(topics|posts)/([^/]+)(?:/posts|/comments)?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_WHOLE = REQUESTS.labels("feed", "GET", 200)
_SHORT = REQUESTS.labels("feed", "GET", 304)
_SECONDS = DURATION.labels("feed", "GET")
_OURS = (b"x-request-id", b"content-length")
_PARAMETERS = re.compile(rb"(?:(?:limit|before|sort|kind)=[^&]*(?:&|$))*")
"""What changes an answer: beside anything else an address has no place here, or there would be no end of them."""


class Guests:
    """ASGI middleware around the whole feed."""

    def __init__(self, app: ASGIApp, memory: Memory) -> None:
        self._app = app
        self._memory = memory
        self._reading: dict[PageKey, asyncio.Future[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers from memory, or lets the request pass."""
        if cast("str", scope["type"]) != "http":
            await self._app(scope, receive, send)
            return
        scope = cast("HTTPScope", scope)
        if scope["method"] != "GET":
            await self._write(scope, receive, send)
            return
        began = clock.monotonic()
        known, rid = b"", b""
        for name, value in scope["headers"]:
            if name in (b"authorization", b"cookie", b"origin"):  # another origin's page: may it read the answer?
                await self._app(scope, receive, send)
                return
            if name == b"if-none-match":
                known = value
            elif name == b"x-request-id":
                rid = value
        key = (scope["path"], scope["query_string"])
        page = self._memory.get(key)
        if page is None and (reading := self._reading.get(key)) is not None:
            # Somebody reads this page at this moment: wait, rather than read it a hundred times beside each other.
            await asyncio.shield(reading)
            page = self._memory.get(key)
        if page is None:
            await self._read(key, scope, receive, send)
            return
        await _answer(page, known, rid, send)
        _SECONDS.observe(clock.monotonic() - began)

    async def _write(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """The rooms write; by the time they answer, no page says otherwise."""
        told = listen()

        async def answer(message: Message) -> None:
            if told:
                self._memory.touch(told)
                told.clear()
            await send(message)

        await self._app(scope, receive, answer)

    async def _read(self, key: PageKey, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """The rooms answer; what they say is kept where it may be."""
        channel = _channel(scope["path"])
        if channel is None or key in self._reading or not _PARAMETERS.fullmatch(scope["query_string"]):
            await self._app(scope, receive, send)
            return
        done = self._reading[key] = asyncio.get_running_loop().create_future()
        moment = self._memory.moment

        def keep(made: "tuple[GuestPage, AsOf] | None") -> None:
            if made is not None:
                self._memory.keep(key, *made, moment)
            if not done.done():
                del self._reading[key]
                done.set_result(None)

        try:
            await self._app(scope, receive, _Recorder(send, channel, keep))
        finally:
            keep(None)


class _Recorder:
    """Passes an answer on, and hands over a copy first: whoever asked may take for ever to read it, others wait."""

    def __init__(self, send: Send, channel: str, keep: Callable[["tuple[GuestPage, AsOf] | None"], None]) -> None:
        self._send = send
        self._channel = channel
        self._keep = keep
        self._status = 0
        self._headers: Headers = []
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers, self._start = message["status"], list(message["headers"]), message
            return
        if (start := self._start) is not None and message["type"] == "http.response.body":
            self._start = None
            whole = self._status == 200 and not message.get("more_body")
            self._keep(self._page(message.get("body", b"")) if whole else None)
            await self._send(start)
        await self._send(message)

    def _page(self, body: bytes) -> tuple[GuestPage, AsOf]:
        """What is answered, as it can be answered again."""
        found: dict[bytes, bytes] = dict(self._headers)
        kept = [(name, value) for name, value in self._headers if name not in _OURS]
        page = GuestPage(
            channel=self._channel,
            etag=found[b"etag"].removeprefix(b"W/"),
            headers=[*kept, (b"content-length", str(len(body)).encode())],
            short_headers=[(name, value) for name, value in kept if name != b"content-type"],
            body=body,
        )
        return page, msgspec.json.decode(found[b"chorus-as-of"], type=AsOf)


async def _answer(page: GuestPage, known: bytes, rid: bytes, send: Send) -> None:
    short = known and (known == b"*" or page.etag in known)
    identity = rid if rid and _REQUEST_ID.fullmatch(rid) else secrets.token_hex(8).encode()
    headers: Any = [*(page.short_headers if short else page.headers), (b"x-request-id", identity)]
    await send({"type": "http.response.start", "status": 304 if short else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if short else page.body, "more_body": False})
    (_SHORT if short else _WHOLE).inc()


def _channel(path: str) -> str | None:
    """The channel whose events can change what stands at this address; None where there is no one channel."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    kind, name = match.groups()
    if kind == "posts":
        return f"post:{name}"
    slug = text.path_slug(name)
    return f"topic:{slug}" if slug else None
