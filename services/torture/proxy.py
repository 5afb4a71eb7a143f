"""A TCP proxy in user space: cuts, black holes, delays and trickles, for each direction apart.

It runs in the harness's loop and needs no rights. What it can't do (packets lost, or reordered) is listed in README.md
beside this file.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

PIECE = 65_536


class Way:
    """One direction. `open` cleared: a black hole, bytes wait and nobody is told. `delay` in seconds a piece.

    `sip`: bytes at a time; 0: as they come.
    """

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.delay = 0.0
        self.sip = 0
        self.bytes = 0
        self.held = 0
        """Pieces that had to wait at the black hole."""
        self.delayed = 0
        self.sips = 0


class Proxy:
    """Listens on a loopback port; `to` opens a connection to the real server and may be replaced at any time."""

    def __init__(self, name: str, to: Connect) -> None:
        self.name = name
        self.to = to
        self.port = 0
        self.there = Way()
        self.back = Way()
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter | None]] = {}

    @property
    def connections(self) -> int:
        """How many pass through it now."""
        return len(self._pairs)

    async def start(self) -> None:
        """It listens on `port`."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nothing passes any more. Twice is safe."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    def cut(self) -> int:
        """Every connection is reset at both ends; how many that were."""
        pairs = list(self._pairs.items())
        for task, writers in pairs:
            for writer in writers:
                if writer is not None:
                    writer.transport.abort()
            task.cancel()
        return len(pairs)

    def heal(self) -> None:
        """Bytes pass as they come."""
        for way in (self.there, self.back):
            way.delay, way.sip = 0.0, 0
            way.open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this in one
        self._pairs[task] = (writer, None)
        try:
            far_reader, far_writer = await self.to()
            self._pairs[task] = (writer, far_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_pass(reader, far_writer, self.there))
                ways.create_task(_pass(far_reader, writer, self.back))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # a connection that breaks is what a proxy is for; its ends notice by themselves
        finally:
            for each in self._pairs.pop(task):
                if each is not None:
                    with contextlib.suppress(OSError):
                        each.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    while piece := await reader.read(PIECE):
        if not way.open.is_set():
            way.held += 1
            await way.open.wait()
        if way.delay:
            way.delayed += 1
            await asyncio.sleep(way.delay)
        way.bytes += len(piece)
        if way.sip:
            await _trickle(piece, writer, way)
        else:
            writer.write(piece)
        await writer.drain()
    raise ConnectionResetError("one end has closed")


async def _trickle(piece: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
    step = max(way.sip, 1)
    for first in range(0, len(piece), step):
        writer.write(piece[first : first + step])
        way.sips += 1
        await asyncio.sleep(0)
