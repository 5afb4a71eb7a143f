"""The inbox's calls, and the Zulip rule: a page fetched before, with the frames since, is the page fetched after."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from services.notify.inbox.notifier import Notifier
from shared.auth import issue
from shared.ids import new_id
from shared.postgres import Pool
from tests.notify.inbox.community import Community
from tests.notify.inbox.door import ORIGIN, SECRET, open_door, sign_in
from tests.notify.inbox.driving import catch_up, write_jobs


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with open_door(pool) as client:
        yield client


async def fetch(client: httpx.AsyncClient, auth: dict[str, str], **query: Any) -> dict[str, Any]:
    response = await client.get("/v1/notifications", headers=auth, params=query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    assert msgspec.json.decode(response.headers["chorus-as-of"]) == page["as_of"]
    return page


def fold(page: dict[str, Any], kind: str, event: dict[str, Any]) -> None:
    """What a page does with a frame of its inbox; `inbox.touched` it can't fold, and fetches again."""
    lines = {line["id"]: line for line in page["items"]}
    if kind == "notification.changed":
        lines[event["notification"]["id"]] = event["notification"]
    elif kind == "notification.removed":
        for gone in event["ids"]:
            lines.pop(gone, None)
    elif kind == "inbox.read":
        for line in lines.values():
            line["read"] = line["read"] or int(line["id"]) <= int(event["up_to"])
    else:
        raise AssertionError(kind)
    page["items"] = sorted(lines.values(), key=lambda line: -int(line["id"]))
    page["unread"] = event["unread"]


async def test_a_page_fetched_before_and_the_frames_since_are_the_page_fetched_after(
    community: Community, notifier: Notifier, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    auth = await sign_in(community, ann)
    post = await community.post(ann)
    kinds_seen: set[str] = set()

    async def read_newest() -> None:
        newest = (await fetch(client, auth))["items"][0]["id"]
        await client.post("/v1/notifications/read", headers=auth, json={"up_to": newest})

    first = await community.comment(bob, post)
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: community.comment(cat, post, mentions=[ann]),
        lambda: community.react(bob, post, "heart"),
        read_newest,
        lambda: community.react(bob, post, None),
        lambda: community.react(cat, post, "joy"),
        lambda: community.delete_comment(first),
        read_newest,
        lambda: community.delete_post(post),
    ]
    for step in steps:
        before = await fetch(client, auth)
        await step()
        await catch_up(notifier, community, pool)
        for _, kind, event in await community.told(ann, after=before["as_of"]["seq"][0]):
            kinds_seen.add(kind)
            fold(before, kind, event)
        after = await fetch(client, auth)
        assert (before["items"], before["unread"]) == (after["items"], after["unread"])
    assert kinds_seen == {"notification.changed", "notification.removed", "inbox.read"}


async def test_frames_that_the_page_shows_already_change_nothing(
    community: Community, notifier: Notifier, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    auth = await sign_in(community, ann)
    post = await community.post(ann)
    await community.comment(bob, post)
    await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    newest = (await fetch(client, auth))["items"][0]["id"]
    await client.post("/v1/notifications/read", headers=auth, json={"up_to": newest})
    page = await fetch(client, auth)  # its rows are ahead of its position: nothing of this is numbered yet
    folded = msgspec.json.decode(msgspec.json.encode(page))
    for _, kind, event in await community.told(ann, after=page["as_of"]["seq"][0]):
        fold(folded, kind, event)
    assert (folded["items"], folded["unread"]) == (page["items"], page["unread"])


async def test_pages_follow_each_other_without_overlap(
    community: Community, notifier: Notifier, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    auth = await sign_in(community, ann, "ticket")
    post = await community.post(ann)
    for _ in range(5):
        await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    everything = [line["id"] for line in (await fetch(client, auth))["items"]]
    assert len(everything) == 5
    seen: list[str] = []
    url: str | None = "/v1/notifications?limit=2"
    while url:
        response = await client.get(url, headers=auth)
        seen += [line["id"] for line in response.json()["items"]]
        link = response.links.get("next")
        assert (link is None) == (response.json()["next"] is None)
        url = link["url"] if link else None
    assert seen == everything


async def test_an_empty_inbox_is_an_answer(community: Community, client: httpx.AsyncClient) -> None:
    ann = await community.member("ann")
    page = await fetch(client, await sign_in(community, ann))
    assert (page["items"], page["next"], page["unread"], page["as_of"]["seq"]) == ([], None, 0, [0])


async def test_reading_moves_forward_only_and_tells_the_other_tab_once(
    community: Community, notifier: Notifier, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    auth = await sign_in(community, ann)
    post = await community.post(ann)
    for _ in range(3):
        await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    newest, middle, oldest = [line["id"] for line in (await fetch(client, auth))["items"]]
    for asked, held, unread in ((middle, middle, 1), (oldest, middle, 1), (middle, middle, 1), (newest, newest, 0)):
        response = await client.post("/v1/notifications/read", headers=auth, json={"up_to": asked})
        assert (response.status_code, response.json()) == (200, {"unread": unread, "up_to": held})
    told = [fields for _, kind, fields in await community.told(ann) if kind == "inbox.read"]
    assert told == [{"up_to": middle, "unread": 1}, {"up_to": newest, "unread": 0}]


async def test_a_line_that_was_taken_away_meanwhile_can_still_be_read_up_to(
    community: Community, notifier: Notifier, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    auth = await sign_in(community, ann)
    post = await community.post(ann)
    await community.comment(bob, post)
    await community.react(bob, post, "heart")
    await catch_up(notifier, community, pool)
    newest = (await fetch(client, auth))["items"][0]["id"]
    await community.react(bob, post, None)
    await catch_up(notifier, community, pool)
    response = await client.post("/v1/notifications/read", headers=auth, json={"up_to": newest})
    assert (response.status_code, response.json()) == (200, {"unread": 0, "up_to": newest})


async def test_another_s_line_and_a_line_of_nobody_get_the_same_answer(
    community: Community, notifier: Notifier, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post, mentions=[ann])
    await community.comment(ann, post, mentions=[bob])
    await catch_up(notifier, community, pool)
    anns = (await fetch(client, await sign_in(community, ann)))["items"][0]["id"]
    auth = await sign_in(community, bob)
    answers = []
    for up_to in (anns, "1", str(2**63 - 1)):
        response = await client.post("/v1/notifications/read", headers=auth, json={"up_to": up_to})
        problem = response.json()
        del problem["request_id"]
        answers.append((response.status_code, response.headers["content-type"], problem))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 404
    assert answers[0][2]["errors"][0]["field"] == "up_to"
    assert (await fetch(client, auth))["unread"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{}", 422, "invalid"),
        (b'{"up_to":7}', 422, "invalid"),
        (b'{"up_to":"seven"}', 422, "invalid"),
        (b'{"up_to":"-7"}', 422, "invalid"),
        (b'{"up_to":"1\\u0000"}', 422, "invalid"),
        (b'{"up_to":"99999999999999999999"}', 422, "invalid"),
        (b'{"up_to":"1","then":"2"}', 422, "invalid"),
        (b'{"up_to":"\\ud800"}', 400, "unparsable"),
        (b'{"up_to":"\xff"}', 400, "unparsable"),
        (b"[]", 422, "invalid"),
        (b"", 400, "unparsable"),
        (b"{" * 50, 400, "unparsable"),
        (b"[" * 4000, 400, "unparsable"),
        (b" " * 5000, 413, "too_large"),
    ],
)
async def test_a_bad_body_is_refused_by_name(
    community: Community, client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    ann = await community.member("ann")
    auth = {**await sign_in(community, ann), "Content-Type": "application/json"}
    response = await client.post("/v1/notifications/read", headers=auth, content=body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    if status == 422:
        assert response.json()["errors"]


async def test_another_content_type_is_refused(community: Community, client: httpx.AsyncClient) -> None:
    auth = await sign_in(community, await community.member("ann"))
    response = await client.post("/v1/notifications/read", headers=auth, data={"up_to": "1"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_type")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=", "before=x", "before=1.5", "before="])
async def test_a_bad_page_is_refused_by_name(community: Community, client: httpx.AsyncClient, query: str) -> None:
    auth = await sign_in(community, await community.member("ann"))
    response = await client.get(f"/v1/notifications?{query}", headers=auth)
    assert response.status_code == 422
    assert [fault["field"] for fault in response.json()["errors"]] == [query.partition("=")[0]]


async def test_only_a_standing_session_s_own_bearer_may_read(
    community: Community, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    good = await sign_in(community, ann)
    assert (await client.get("/v1/notifications", headers=good)).status_code == 200
    stolen = issue(SECRET, "access", account_id=bob.id, session_id=new_id(), ttl=60)
    forged = issue(SECRET[::-1], "access", account_id=ann.id, session_id=new_id(), ttl=60)
    refused = [
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Bearer {stolen}"},
        {"Authorization": f"Bearer {forged}"},
        {"Cookie": f"chorus={good['Authorization'].removeprefix('Bearer ')}"},
        await sign_in(community, ann, "cookie"),
        await sign_in(community, ann, ends=timedelta(seconds=-1)),
    ]
    await community.feed.execute("update feed.session set revoked_at = now()")
    for headers in [*refused, good]:
        for response in (
            await client.get("/v1/notifications", headers=headers),
            await client.post("/v1/notifications/read", headers=headers, json={"up_to": "1"}),
        ):
            assert (response.status_code, response.json()["code"]) == (401, "not_signed_in"), headers


async def test_the_page_s_origin_may_call_without_cookies(client: httpx.AsyncClient) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    allowed = await client.options("/v1/notifications", headers={"Origin": ORIGIN, **asked})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in allowed.headers
    refused = await client.options("/v1/notifications", headers={"Origin": "https://else.example", **asked})
    assert "access-control-allow-origin" not in refused.headers
    plain = await client.get("/v1/notifications", headers={"Origin": ORIGIN})
    assert plain.headers["access-control-allow-origin"] == ORIGIN
    assert "chorus-as-of" in plain.headers["access-control-expose-headers"].lower()


async def test_a_touched_inbox_read_again_shows_what_was_written(
    community: Community, pool: Pool, client: httpx.AsyncClient
) -> None:
    ann, *crowd = await community.members(["ann", "m1", "m2", "m3"])
    auth = await sign_in(community, crowd[0])
    await community.post(ann, mentions=crowd)
    await catch_up(Notifier(pool, page_above=2), community, pool)
    await write_jobs(pool, size=2)
    await community.number()
    page = await fetch(client, auth)
    assert page["unread"] == 1
    assert await community.told(crowd[0], after=page["as_of"]["seq"][0]) == []


async def test_a_page_that_the_reader_has_is_a_304_until_something_is_told(
    client: httpx.AsyncClient, community: Community
) -> None:
    ann = await community.member("ann")
    auth = await sign_in(community, ann)
    first = await client.get("/v1/notifications", headers=auth)
    again = await client.get("/v1/notifications", headers={**auth, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "Chorus-As-Of" in again.headers
    assert "Cookie" in first.headers["Vary"]
    other = await client.get("/v1/notifications", headers={**auth, "If-None-Match": 'W/"another"'})
    assert other.status_code == 200
