"""The OpenAPI document: every call in it, every answer as it says, and a page of it without anything foreign."""

import json
import re
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest

from services.feed.app import create_app
from services.feed.settings import FeedSettings
from shared import clock
from shared.errors import all_errors
from shared.links import sign_link
from tests.feed.community import PASSWORD, Community, Member, made, story_of
from tests.feed.conftest import SECRET
from tests.feed.test_media import picture


async def document_of(community: Community) -> dict[str, Any]:
    """The document, as it is served."""
    document: dict[str, Any] = (await community.get("/openapi.json")).json()
    return document


def schema_of(document: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any] | None:
    """What an operation says of one of its answers; None: no body."""
    answer = document["paths"][path][method.lower()]["responses"][str(status)]
    content = next(iter(answer.get("content", {}).values()), None)
    return None if content is None else {**content["schema"], "components": document["components"]}


async def example_calls(community: Community, ada: Member) -> list[tuple[str, str, dict[str, Any]]]:
    """One good request for every operation, as (method, path template, what to send); in an order that works."""
    await community.give(ada, "admin")
    post = await ada.post("#calm")
    comment = await ada.comment(post, "x")
    told = await ada.post("It is *late*. #calm", kind="story", title="Lamps")
    photo = (await ada.call("POST", "/v1/media", files={"file": ("p.png", picture("PNG"))})).json()
    other = await community.member()
    drafts = [await story_of(ada, title="A story", body="Words") for _ in range(3)]
    for draft in drafts[1:]:
        await ada.call("POST", f"/v1/stories/{draft['id']}/submit", {"version": 1})
    at = {"post_id": post["id"], "comment_id": comment["id"], "slug": "calm", "media_id": photo["id"], "size": "small"}
    at |= {"handle": other.handle, **dict(zip(("story_id", "second", "third"), (d["id"] for d in drafts), strict=True))}
    story = "/v1/stories/{story_id}"
    account = {"handle": "some_body", "display_name": "Some Body", "password": PASSWORD}
    at["session_id"], links, leaver = await account_examples(community, ada)
    return [
        (method, path, {"path": str(options.pop("at", path)).format(**at), **options})
        for method, path, options in (
            ("POST", "/v1/accounts", {"body": account}),
            ("POST", "/v1/sessions", {"body": {"handle": ada.handle, "password": PASSWORD}}),
            ("POST", "/v1/sessions/renew", {"body": {}}),
            ("GET", "/v1/me", {}),
            ("GET", "/v1/roles", {}),
            ("GET", "/v1/grants", {}),
            ("PUT", "/v1/roles/{handle}", {"body": {"role": "author"}}),
            ("DELETE", "/v1/roles/{handle}", {}),
            ("GET", "/v1/me/email", {}),
            ("PUT", "/v1/me/email", {"body": {"address": "ada@post.test", "password": PASSWORD}}),
            ("POST", "/v1/email/confirm", {"body": {"token": links["confirm"]}}),
            ("POST", "/v1/password/recovery", {"body": {"address": "carol@post.test"}}),
            ("POST", "/v1/password/reset", {"body": {"token": links["recover"], "password": "a lake and its swan"}}),
            ("GET", "/v1/me/sessions", {}),
            ("DELETE", "/v1/me/sessions/{session_id}", {}),
            ("DELETE", "/v1/me/sessions", {}),
            ("POST", "/v1/me/password", {"body": {"current": PASSWORD, "password": "a river, a boat"}}),
            ("POST", "/v1/me/deletion", {"body": {"password": PASSWORD, "words": "keep"}, "headers": leaver}),
            ("POST", "/v1/stories", {"body": {"title": "Far off", "body": "Once", "topics": ["calm"]}}),
            ("POST", "/v1/stories/preview", {"body": {"body": "*Once*"}}),
            ("GET", "/v1/stories", {}),
            ("GET", story, {}),
            ("PATCH", story, {"body": {"version": 1, "body": "Twice"}}),
            ("POST", f"{story}/submit", {"body": {"version": 2}}),
            ("POST", f"{story}/withdraw", {"body": {"version": 3}}),
            ("POST", f"{story}/publish", {"at": "/v1/stories/{second}/publish", "body": {"version": 2}}),
            ("POST", f"{story}/return", {"at": "/v1/stories/{third}/return", "body": {"version": 2, "note": "Soon"}}),
            ("DELETE", story, {}),
            ("POST", "/v1/live/ticket", {}),
            ("GET", "/v1/config", {}),
            ("GET", "/v1/topics", {}),
            ("GET", "/v1/topics/{slug}", {}),
            ("PUT", "/v1/topics/{slug}/membership", {}),
            ("DELETE", "/v1/topics/{slug}/membership", {}),
            ("GET", "/v1/topics/{slug}/posts", {}),
            ("POST", "/v1/posts", {"body": {"body": "#calm", "media": [photo["id"]]}}),
            ("GET", "/v1/posts/{post_id}", {}),
            ("GET", "/v1/posts/{post_id}/html", {"at": f"/v1/posts/{told['id']}/html"}),
            ("PATCH", "/v1/posts/{post_id}", {"body": {"version": 1, "title": "New"}}),
            ("PUT", "/v1/posts/{post_id}/reaction", {"body": {"kind": "hug"}}),
            ("DELETE", "/v1/posts/{post_id}/reaction", {}),
            ("GET", "/v1/posts/{post_id}/comments", {}),
            ("POST", "/v1/posts/{post_id}/comments", {"body": {"body": "x", "parent": comment["id"]}}),
            ("GET", "/v1/comments/{comment_id}", {}),
            ("PATCH", "/v1/comments/{comment_id}", {"body": {"version": 1, "body": "y"}}),
            ("PUT", "/v1/comments/{comment_id}/reaction", {"body": {"kind": "hug"}}),
            ("DELETE", "/v1/comments/{comment_id}/reaction", {}),
            ("POST", "/v1/media", {"files": {"file": ("p.png", picture("PNG"))}}),
            ("GET", "/media/{media_id}/{size}", {}),
            ("DELETE", "/v1/comments/{comment_id}", {}),
            ("DELETE", "/v1/posts/{post_id}", {}),
            ("DELETE", "/v1/sessions/current", {}),
        )
    ]


async def account_examples(community: Community, ada: Member) -> tuple[str, dict[str, str], dict[str, str]]:
    """The id of another session of hers, good links of two other members, and the credentials of one who may leave."""
    bo, carol, leaver = [await community.member() for _ in range(3)]
    made(await bo.call("PUT", "/v1/me/email", {"address": "bo@post.test", "password": PASSWORD}))
    await community.owner.execute(
        "insert into feed.email (account_id, address, folded, confirmed_at) values ($1, $2, $2, now())",
        int(carol.id),
        "carol@post.test",
    )
    until = clock.now() + timedelta(minutes=5)
    links = {
        "confirm": sign_link(SECRET, "confirm", account_id=int(bo.id), stamp="1", expires_at=until),
        "recover": sign_link(SECRET, "recover", account_id=int(carol.id), stamp="1.1", expires_at=until),
    }
    current = made(await ada.get("/v1/me/sessions"))["items"][0]["id"]
    made(await community.http.post("/v1/sessions", json={"handle": ada.handle, "password": PASSWORD}))
    items = made(await ada.get("/v1/me/sessions"))["items"]
    other = next(item["id"] for item in items if item["id"] != current)
    return other, links, {"Authorization": f"Bearer {leaver.token}"}


async def test_every_answer_is_as_the_document_says(community: Community) -> None:
    document = await document_of(community)
    ada = await community.member()
    calls = await example_calls(community, ada)
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(method, path) for method, path, _ in calls} == listed, "a new call needs an example here"
    for method, path, options in calls:
        response = await ada.call(method, **options)
        assert response.is_success, f"{method} {path}: {response.text}"
        if response.status_code == 200 and path.startswith("/v1"):  # the files of photos are outside, and never change
            assert set(json.loads(response.headers["chorus-as-of"])) == {"epoch", "seq"}, f"{method} {path}"
        schema = schema_of(document, method, path, response.status_code)
        if schema is None:
            assert response.content == b""
        elif response.headers["content-type"] == "application/json":
            jsonschema_rs.validator_for(schema).validate(response.json())


def test_a_call_that_says_nothing_of_itself_keeps_the_document_from_being_made() -> None:
    from litestar import Litestar, get

    from services.feed.api.openapi import NotDocumented, document

    @get("/v1/new", sync_to_thread=False)
    def new() -> str:
        return ""

    with pytest.raises(NotDocumented, match="GET /v1/new"):
        document(Litestar([new], openapi_config=None).routes, ())


async def test_every_call_has_a_name_of_its_own_and_says_what_it_does(community: Community) -> None:
    calls = [call for path in (await document_of(community))["paths"].values() for call in path.values()]
    names = [call["operationId"] for call in calls]
    assert len(set(names)) == len(names)
    assert all(call["summary"] for call in calls)


async def test_the_pages_of_the_documentation_need_nothing_from_elsewhere(community: Community) -> None:
    calls, errors = (await community.get("/docs")).text, (await community.get("/docs/errors")).text
    for page in (calls, errors):
        assert not re.search(r"<script|(src|href)=[\"']?(\w+:|//)", page)
    for path in (await document_of(community))["paths"]:
        assert path in calls
    assert "&quot;code&quot;: &quot;stale_version&quot;" in calls
    create_app(FeedSettings(), on_fatal=lambda _: None)
    for error in all_errors():
        if error.__module__.startswith(("shared", "services.feed.api")):
            assert f'id="{error.code}"' in errors
