"""Several notify processes on one port."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from services.bench.stack import free_port
from shared.listening import PortTaken, is_free, listen, reserve
from tests.live_client import LiveClient
from tests.notify.live.house import SECRET, Pen, cursor
from tests.servers import Database
from tests.stack import Service


class Workers(Service):
    """`chorus notify --workers 2`; `alone`: where each worker answers by itself."""

    def __init__(self, database: Database, log: Path) -> None:
        port = free_port()
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")},
            "CHORUS_DATABASE_URL": database.url_feed,
            "CHORUS_NOTIFY_DATABASE_URL": database.url_notify,
            "CHORUS_SECRET_KEY": SECRET,
            "CHORUS_NOTIFY_PORT": str(port),
            "CHORUS_DRAIN": "0.5",
        }
        super().__init__("workers", "notify", env, log, f"http://127.0.0.1:{port}")
        first = two_free_ports()
        self._command += ["--workers", "2", "--worker-ports", str(first)]
        self.alone = [f"http://127.0.0.1:{first + n}" for n in range(2)]

    async def all_ready(self) -> None:
        """Every worker answers."""
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            for url in self.alone:
                while not await _is_ready(client, url):
                    assert self.running, self.tail()
                    await asyncio.sleep(0.05)

    async def sockets(self) -> list[int]:
        """How many sockets each worker holds."""
        async with httpx.AsyncClient() as client:
            pages = [(await client.get(f"{url}/metrics")).text for url in self.alone]
        return [int(float(page.split("\nchorus_live_sockets ")[1].split("\n")[0])) for page in pages]

    def children(self) -> list[int]:
        """The workers' process ids."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def two_free_ports() -> int:
    """The first of two free ports in a row."""
    while True:
        port = free_port()
        if port < 65_000 and is_free("127.0.0.1", port + 1):
            return port


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Iterator[Workers]:
    """Two workers, started and maybe not ready."""
    service = Workers(database, tmp_path / "workers.log")
    service.start(wait=False)
    yield service
    service.stop()


@pytest.fixture
async def clients(workers: Workers) -> AsyncIterator[list[LiveClient]]:
    """Whoever is put here is gone at the end, also of a test that failed: a loop does not close while they listen."""
    clients: list[LiveClient] = []
    yield clients
    for client in clients:
        with suppress(Exception):
            await client.close()


async def test_a_post_reaches_the_clients_of_all_workers_and_one_that_dies_loses_nobody_anything(
    workers: Workers, pen: Pen, clients: list[LiveClient]
) -> None:
    await workers.all_ready()
    page = cursor(await pen.cursor())
    while len(clients) < 8 or 0 in await workers.sockets():
        client = LiveClient(workers.live_url)
        clients.append(client)
        await client.connect()
        await client.subscribe("topic:a", page)
        assert len(clients) < 64, "the kernel spreads nothing"
    assert sum(await workers.sockets()) == len(clients)
    await pen.write("x", ["topic:a"], {"n": 1})
    for client in clients:
        await client.events("topic:a", 1)

    os.kill(workers.children()[0], signal.SIGKILL)
    gone = [client for client in clients if await _is_cut(client)]
    assert 0 < len(gone) < len(clients)
    await pen.write("x", ["topic:a"], {"n": 2})
    for client in gone:
        await client.connect()
    for client in clients:
        assert [event["n"] for event in await client.events("topic:a", 2)] == [1, 2]
    await workers.all_ready()
    assert len(workers.children()) == 2

    workers.send(signal.SIGTERM)
    assert [await client.closed() for client in clients] == [4000] * len(clients)
    assert await asyncio.to_thread(workers.wait_ended, 20) == 0, workers.tail()


async def _is_cut(client: LiveClient) -> bool:
    """Whether its worker is gone: a ping is answered otherwise."""
    await asyncio.sleep(0)
    try:
        await client.send({"type": "ping", "id": 99})
        await client.until(lambda: client.close_code is not None or {"type": "pong", "id": 99} in client.frames)
    except Exception:
        await client.closed()
    return client.close_code is not None


async def test_told_twice_all_leave_at_once(workers: Workers) -> None:
    await workers.all_ready()
    async with LiveClient(workers.live_url) as client:
        workers.send(signal.SIGTERM)
        await client.until(lambda: client.latest["type"] == "drain")
        workers.send(signal.SIGTERM)
        assert await asyncio.to_thread(workers.wait_ended, 20) == 130, workers.tail()
    assert all(is_free("127.0.0.1", int(url.rpartition(":")[2])) for url in [workers.url, *workers.alone])


def test_a_port_is_shared_only_by_those_who_were_meant_to() -> None:
    with reserve("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with listen("127.0.0.1", port, shared=True), listen("127.0.0.1", port, shared=True):
            for strange in (listen, reserve):
                with pytest.raises(PortTaken):
                    strange("127.0.0.1", port)
    with listen("127.0.0.1", port), pytest.raises(PortTaken):
        reserve("127.0.0.1", port)
