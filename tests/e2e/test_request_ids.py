"""One request, followed: its id is in the lines of both services, in the events it caused, and in no public frame."""

import asyncio
import json
import re
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from tests.e2e.people import PASSWORD, Member
from tests.e2e.test_refusals import chorus
from tests.servers import Database
from tests.stack import PATIENCE, Service, Stack

EVENTS = "SELECT type, request_id, convert_from(payload, 'UTF8') AS payload FROM eventlog.event ORDER BY id"


async def caused(database: Database, type_: str, count: int = 1) -> list[Any]:
    """The requests that the events of this type name, once there are so many of them."""
    connection = await asyncpg.connect(database.url_direct)
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [row["request_id"] for row in await connection.fetch(EVENTS) if row["type"] == type_]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


def lines(service: Service) -> list[dict[str, Any]]:
    """What a service logged; a line that is no JSON fails the test."""
    return [json.loads(line) for line in service.log.read_text().splitlines() if line]


async def test_a_request_is_named_by_what_it_caused_in_both_services_and_by_no_frame(
    services: Stack, database: Database, redis_url: str
) -> None:
    async with await Member.sign_up(services.url, "ann") as ann, await Member.sign_up(services.url, "bob") as bob:
        ann.http.headers["X-Request-Id"] = "ann-writes-a-post"
        bob.http.headers["X-Request-Id"] = "bob-answers-it"
        post = await ann.post("First frost. #Allotments")
        assert await caused(database, "post.created") == ["ann-writes-a-post"]
        assert await caused(database, "topic.changed") == ["ann-writes-a-post"]
        comment = await bob.comment(post, "Here as well.")
        assert await caused(database, "notification.changed") == ["bob-answers-it"]
        bob.http.headers["X-Request-Id"] = "bob-takes-it-back"
        await bob.call("DELETE", f"/v1/comments/{comment['id']}", expect=204)
        assert await caused(database, "notification.removed") == ["bob-takes-it-back"]

    urls = {"DATABASE_URL": database.url_feed, "NOTIFY_DATABASE_URL": database.url_notify, "REDIS_URL": redis_url}
    told = chorus(services.feed.log.parent, "trace", post["id"], **urls).stdout
    assert "  request    ann-writes-a-post\n" in told
    assert "  request    bob-answers-it\n" in told
    async with Redis.from_url(redis_url) as redis:
        entries: Any = await redis.xrange("chorus:log:{0}")
    assert len(entries) >= 5
    assert b"ann-writes" not in repr(entries).encode()  # frames are made of what stands in the stream


async def test_an_id_that_is_not_well_formed_is_replaced_and_the_answer_says_by_which(
    services: Stack, database: Database
) -> None:
    async with await Member.sign_up(services.url, "ann") as ann:
        answer = await ann.http.post(
            "/v1/posts", json={"body": "hello"}, headers={"X-Request-Id": 'no"\tgood\x7f'.replace("\x7f", "")}
        )
    given = answer.headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{16}", given)
    assert await caused(database, "post.created") == [given]


async def test_what_no_request_caused_names_none(database: Database) -> None:
    connection = await asyncpg.connect(database.url_feed)
    try:
        append = "SELECT eventlog.append('7', 'x', '{post:7}', '{}')"
        async with connection.transaction():
            await connection.execute("SELECT set_config('chorus.request_id', 'from-sql', true)")
            await connection.execute(append)
        await connection.execute(append)
    finally:
        await connection.close()
    assert await caused(database, "x", 2) == ["from-sql", None]


CANARIES = ("zitronenfalter", "Quagga Quince", "nightjar at dusk", "okapi.example", PASSWORD)


@pytest.mark.parametrize(
    "services", [{"CHORUS_LOG_LEVEL": "debug", "CHORUS_FAULTS": "feed:committing=raise@2"}], indirect=True
)
async def test_no_line_of_a_run_holds_a_word_that_a_person_wrote(services: Stack, database: Database) -> None:
    """Bodies, titles, names, passwords, tokens and what Postgres quotes of rows: none of it is in any log."""
    word, name, alt, domain, password = CANARIES
    async with httpx.AsyncClient(base_url=services.url, timeout=20) as http:
        account = {"handle": "zebra", "display_name": name, "password": password}
        made = (await http.post("/v1/accounts", json=account)).json()
        bearer = {"Authorization": f"Bearer {made['token']}"}
        wrong = await http.post("/v1/sessions", json={"handle": "zebra", "password": f"{word} {word}"})
        assert wrong.status_code == 401
        for fields in ({"body": f"{word} https://{domain}/"}, {"body": word, "title": alt}, {"body": word, "x": name}):
            await http.post("/v1/posts", json=fields, headers={**bearer, "X-Request-Id": "canary-post"})
        await http.post("/v1/posts", content=f'{{"body": "{word}', headers=bearer)
        await http.get(f"/v1/topics/{word}", headers=bearer)
        await http.post("/v1/media", files={"file": (f"{word}.png", b"no image")}, data={"alt": alt}, headers=bearer)

    connection = await asyncpg.connect(database.url_feed)
    try:  # what the notifier can't read: it is parked, with a traceback in its log
        body = json.dumps({"comment": {"id": "x", "body": word, "author": {"display_name": name}}})
        await connection.execute(
            "SELECT eventlog.append('7', 'comment.created', '{post:7}', convert_to($1, 'UTF8'), 'canary-event')", body
        )
        async with asyncio.timeout(PATIENCE):
            while "event_parked" not in services.notify.log.read_text():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
    finally:
        await connection.close()

    broke = [line for line in lines(services.feed) if line["event"] == "request_broke"]
    assert [line["request_id"] for line in broke] == ["canary-post"]  # the fault fired, and was logged
    parked = [line for line in lines(services.notify) if line["event"] == "event_parked"]
    assert [line["request_id"] for line in parked] == ["canary-event"]
    for service in services.services:
        said = service.log.read_text()
        assert [word for word in (*CANARIES, made["token"]) if word in said] == [], service.name
