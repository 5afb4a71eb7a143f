"""The notify process as operators meet it: started by its command, told to leave by a signal."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.bench.stack import free_port
from tests.live_client import LiveClient
from tests.notify.live.house import SECRET, Pen
from tests.servers import Database
from tests.stack import Service


@pytest.fixture
def process(database: Database, tmp_path: Path) -> Iterator[Service]:
    """A notify process without Redis, with a drain of two seconds, ready."""
    port = free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")},
        "CHORUS_DATABASE_URL": database.url_feed,
        "CHORUS_NOTIFY_DATABASE_URL": database.url_notify,
        "CHORUS_SECRET_KEY": SECRET,
        "CHORUS_NOTIFY_PORT": str(port),
        "CHORUS_DRAIN": "2",
    }
    service = Service("notify", "notify", env, tmp_path / "notify.log", f"http://127.0.0.1:{port}")
    service.start()
    yield service
    service.stop()


async def ready(process: Service) -> tuple[int, dict[str, Any]]:
    """What /readyz says."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{process.url}/readyz")
        return answer.status_code, answer.json()


async def ended(process: Service, timeout: float) -> int:
    """Its exit code."""
    return await asyncio.to_thread(process.wait_ended, timeout)


async def test_a_signal_drains_and_a_whole_life_ends_with_0(process: Service, pen: Pen) -> None:
    clients = [LiveClient(process.live_url) for _ in range(3)]
    for client in clients:
        await client.connect()
        await client.subscribe("topic:a")
    await pen.write("x", ["topic:a"], {"n": 1})
    await clients[2].events("topic:a", 1)
    process.send(signal.SIGTERM)
    await clients[0].until(lambda: clients[0].latest["type"] == "drain")
    status, body = await ready(process)
    assert status == 503
    assert "draining" in [each["name"] for each in body["broken"]]
    await pen.write("x", ["topic:a"], {"n": 2})
    await clients[2].events("topic:a", 2)
    assert [await client.closed() for client in clients] == [4000] * 3
    assert sorted(f["in"] for c in clients for f in c.frames if f["type"] == "drain") == [0.667, 1.333, 2.0]
    assert await ended(process, 10) == 0, process.tail()


async def test_a_second_signal_is_not_waited_for(process: Service) -> None:
    async with LiveClient(process.live_url) as client:
        process.send(signal.SIGTERM)
        await client.until(lambda: client.latest["type"] == "drain")
        process.send(signal.SIGTERM)
        assert await ended(process, 1.5) == 130


async def test_ready_and_alive_and_counted(process: Service) -> None:
    status, body = await ready(process)
    assert (status, body["status"]) == (200, "degraded")
    assert [each["name"] for each in body["broken"]] == ["tail"]
    async with LiveClient(process.live_url), httpx.AsyncClient() as client:
        metrics = (await client.get(f"{process.url}/metrics")).text
        assert "chorus_live_sockets 1.0" in metrics
        assert 'chorus_http_requests_total{method="GET",service="notify",status="200"}' in metrics
        assert (await client.get(f"{process.url}/healthz")).json() == {"status": "ok"}


async def test_a_broken_assumption_ends_the_process_with_1(process: Service, pen: Pen) -> None:
    async with LiveClient(process.live_url) as client:
        await client.subscribe("topic:a")
        await pen.append("x", ["topic:a"])
        await pen.number()
        await client.events("topic:a", 1)
        await pen.tear(2)
        assert await client.closed() == 4004
        assert await ended(process, 5) == 1


async def test_the_calls_of_notify_describe_themselves(process: Service) -> None:
    async with httpx.AsyncClient(base_url=process.url) as client:
        answer = await client.get("/openapi.json")
        assert answer.status_code == 200
        assert set(answer.json()["paths"]) == {"/v1/notifications", "/v1/notifications/read"}
        for path in ("/nothing-here", "/openapi", "/openapi/", "/openapi/nothing", "/openapi/openapi.json"):
            nothing = await client.get(path)
            assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found"), path
            assert nothing.headers["content-type"] == "application/problem+json"


async def test_head_is_get_without_its_body(process: Service) -> None:
    async with httpx.AsyncClient(base_url=process.url) as client:
        for path, status in (("/healthz", 200), ("/v1/notifications", 401), ("/v1/notifications/read", 405)):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (status, b"")
            assert head.headers["content-length"] == got.headers["content-length"] != "0"
            assert head.headers["content-type"] == got.headers["content-type"]
        again = await client.get("/healthz")
        assert again.json() == {"status": "ok"}, "the connection goes on"
        metrics = (await client.get("/metrics")).text
        assert 'chorus_http_requests_total{method="HEAD",service="notify",status="200"}' in metrics
