"""Trouble behind the door: said as it is, soon, with nothing half written."""

import asyncio
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from services.embedded import Postgres
from services.feed import app
from services.feed.images import Darkroom
from services.feed.settings import FeedSettings
from shared import web_heads
from tests.eventlog.rig import until
from tests.feed.community import Community, faults, made, problem
from tests.feed.conftest import SECRET, Serve, serving
from tests.feed.test_media import picture
from tests.servers import fresh_database, make_template


async def test_a_lock_that_is_not_had_in_time_is_busy_and_writes_nothing(community: Community) -> None:
    ada = await community.member()
    await ada.post("#held")
    before = await community.row_counts()
    async with community.owner.transaction():
        await community.owner.execute("select * from feed.topic_count for update")
        refused = await ada.call("POST", "/v1/posts", {"body": "#held"}, headers={"Idempotency-Key": "k"})
        problem(refused, 503, "busy")
        assert int(refused.headers["retry-after"]) >= 1
    assert await community.row_counts() == before
    made(await ada.call("POST", "/v1/posts", {"body": "#held"}, headers={"Idempotency-Key": "k"}))


async def test_a_database_that_may_only_be_read_takes_no_write_and_gives_every_read(community: Community) -> None:
    """A standby that a pooler leads to before it is promoted; a primary that its host made read-only on a full disk."""
    ada = await community.member()
    post = await ada.post("#read")
    before = await community.row_counts()
    await community.owner.execute("ALTER ROLE chorus_feed SET default_transaction_read_only = on")
    try:
        await _all_sessions_anew(community)
        for _ in range(3):
            refused = await ada.call("POST", "/v1/posts", {"body": "#read"}, headers={"Idempotency-Key": "k"})
            problem(refused, 503, "busy")
            assert int(refused.headers["retry-after"]) >= 1
            assert (await community.http.get(f"/v1/posts/{post['id']}")).status_code == 200
    finally:
        await community.owner.execute("ALTER ROLE chorus_feed RESET default_transaction_read_only")
    assert await community.row_counts() == before
    await _all_sessions_anew(community)
    made(await ada.call("POST", "/v1/posts", {"body": "#read"}, headers={"Idempotency-Key": "k"}))


async def _all_sessions_anew(community: Community) -> None:
    """The feed's sessions are ended, and it has noticed."""
    ended = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chorus_feed'"
    pids = {row["pid"] for row in await community.owner.fetch(f"{ended} AND datname = current_database()")}
    there = "SELECT pid FROM pg_stat_activity WHERE pid = ANY($1::int[])"

    async def noticed() -> bool:
        gone = not await community.owner.fetch(there, list(pids))
        return gone and (await community.http.get("/v1/topics")).status_code == 200

    await until(noticed)


async def test_too_many_photos_at_once_are_refused_with_a_warning(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Darkroom", lambda: Darkroom(workers=1, waiting=-1))
    community = await serve()
    ada = await community.member()
    with capture_logs() as lines:
        refused = await ada.call("POST", "/v1/media", files={"file": ("p.jpg", picture())})
    problem(refused, 503, "busy")
    assert int(refused.headers["retry-after"]) >= 1
    assert [line["log_level"] for line in lines if line["event"] == "request_failed"] == ["warning"]


async def raw(community: Community, sent: bytes) -> bytes:
    """The first line of what is answered to these bytes, once the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", community.http.base_url.port)
    writer.write(sent)
    try:
        answer = await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
    return answer.partition(b"\r\n")[0]


async def test_a_head_without_an_end_is_refused_and_large_bodies_are_not(community: Community) -> None:
    begun = b"GET /v1/topics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    large = (64 * 1024 + 1) * b"a"
    assert b" 431 " in await raw(community, begun + b"X: " + large)
    assert b" 431 " in await raw(community, b"GET /" + large)
    assert b" 200 " in await raw(community, begun + b"X: " + large[:60_000] + b"\r\n\r\n")
    ada = await community.member()
    for _ in range(3):  # one connection: each request has a head of its own
        body = {"body": "x" * 5000, "title": "x" * 100_000}
        assert faults(await ada.call("POST", "/v1/posts", body)) == {("title", "too_long")}


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /v1/topics HTT", b"GET /v1/topics HTTP/1.1\r\nHost: x\r\nX-Slow: a", b"\r\n"],
    ids=["nothing", "a line", "a header", "an empty line"],
)
async def test_a_head_that_does_not_come_is_not_waited_for(
    community: Community, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(web_heads, "HEAD_SECONDS", 0.2)
    assert b" 408 " in await raw(community, begun)


async def test_a_body_that_does_not_come_is_not_waited_for(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_heads, "BODY_SECONDS", 0.2)
    head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    assert b" 408 " in await raw(community, head + b'{"han')


async def test_without_postgres_every_read_says_so_and_the_feed_comes_back(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    paths = ["/v1/topics", "/v1/config", "/v1/posts/1", "/media/1/small"]
    make_template(own_postgres)
    with fresh_database(own_postgres) as database:
        settings = FeedSettings(database_url=database.url_feed, secret_key=SECRET, data_dir=str(tmp_path))
        async with serving(settings) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
            assert (await http.get("/readyz")).status_code == 200
            own_postgres.stop(grace=2)
            for path in paths:
                problem(await http.get(path), 503, "busy")
            down = await http.get("/readyz")
            assert down.status_code == 503
            assert [each["name"] for each in down.json()["broken"]] == ["postgres"]
            own_postgres.start()
            assert (await http.get("/readyz")).status_code == 200
            assert [(await http.get(path)).status_code for path in paths] == [200, 200, 404, 404]


async def test_without_redis_the_feed_is_degraded_and_works(serve: Serve) -> None:
    community = await serve(redis_url="redis://127.0.0.1:1")
    ready = await community.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    await (await community.member()).post("#calm")
    assert made(await community.get("/v1/topics/calm"))["posts"] == 1
