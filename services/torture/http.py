"""A small HTTP/1.1 client: what an answer was, or that nobody knows. Connections are kept and never trusted.

Owned here because clients and generator must tell "refused" from "outcome unknown", and because `chorus torture` runs
where the tests' client library is not installed. It retries nothing.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]

CONNECTIONS = 64
"""Open at once to one service: more only queue behind its two cores."""


class Unreached(Exception):
    """No answer: whether it was done is not known."""


class Answer(NamedTuple):
    """What came back; `body` is decoded JSON, text of other kinds as it is, None where there is none."""

    status: int
    headers: dict[str, str]
    body: Any


class Http:
    """Calls one service. `statuses` counts every answer; `broken` holds what was answered with 500, by
    the request's id."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(CONNECTIONS)
        self.statuses: Counter[int] = Counter()
        self.broken: dict[str, str] = {}

    async def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        token: str | None = None,
        key: str | None = None,
        timeout: float = 20,
    ) -> Answer:
        """The answer, whatever its status. Raises Unreached, also after `timeout` seconds."""
        content = b"" if body is None else msgspec.json.encode(body)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._address[0]}:{self._address[1]}"]
        lines.append(f"Content-Length: {len(content)}")
        if body is not None:
            lines.append("Content-Type: application/json")
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        if key is not None:
            lines.append(f"Idempotency-Key: {key}")
        request = "\r\n".join([*lines, "", ""]).encode() + content
        async with self._room:
            try:
                async with asyncio.timeout(timeout):
                    answer = await self._exchange(request)
            except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
                raise Unreached(f"{method} {path}: {error!r}") from error
        self.statuses[answer.status] += 1
        if answer.status == 500:
            request_id = answer.headers.get("x-request-id", f"unknown {len(self.broken)}")
            self.broken[request_id] = f"{method} {path} {body}: {answer.body}"
        return answer

    async def look(self, path: str) -> Answer:
        """What a GET gives, asked twice where need be: a connection that was kept may be closed as we write to it.

        Raises Unreached.
        """
        try:
            return await self.call("GET", path)
        except Unreached:
            return await self.call("GET", path)

    async def aclose(self) -> None:
        """No connection is open. Safe twice."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _exchange(self, request: bytes) -> Answer:
        reader, writer = await self._connection()
        kept = False
        try:
            writer.write(request)
            await writer.drain()
            answer = await _read(reader)
            kept = answer.headers.get("connection", "").lower() != "close"
            return answer
        finally:
            if kept:
                self._idle.append((reader, writer))
            else:
                with contextlib.suppress(OSError):
                    writer.transport.abort()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address, limit=1 << 22)


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        content = await _chunks(reader)
    else:
        content = await reader.readexactly(int(headers.get("content-length", "0")))
    if "json" in headers.get("content-type", "") and content:
        return Answer(status, headers, msgspec.json.decode(content))
    return Answer(status, headers, content.decode() or None)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        content += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return content
