"""The examples of the documentation are what the calls take and answer. `RECORD=1` records them anew."""

import os
from datetime import timedelta
from typing import Any

import httpx
import jsonschema_rs
import msgspec

from services.feed.api.examples import FILE, RECORDED
from shared import clock
from shared.links import sign_link
from tests.feed.community import PASSWORD, Community, Member, made, story_of
from tests.feed.conftest import SECRET, Serve
from tests.feed.test_openapi import document_of, example_calls

SECRETS = {"token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…", "ticket": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…"}
REQUEST = "9f2c4e1ab07d5533"


async def recorded(community: Community, without_mail: Community) -> dict[str, Any]:
    """Every call made, and every problem that the document names."""
    document = await document_of(community)
    ada = await community.member("ada")
    calls: dict[str, Any] = {}
    for method, path, options in await example_calls(community, ada):
        answer = await ada.call(method, **options)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        example = {"body": options["body"]} if "body" in options else {}
        if answer.content and answer.headers["content-type"] == "application/json":
            example["answer"] = answer.json()
        calls[document["paths"][path][method.lower()]["operationId"]] = discreet(example)
    return {"calls": calls, "problems": await problems(community, without_mail, ada)}


async def problems(community: Community, without_mail: Community, ada: Member) -> dict[str, Any]:
    """What is answered to each mistake that can be made, by code; `ada` is the only admin."""
    post = await (await community.member()).post("A quiet morning. #calm")
    token = await community.http.post("/v1/sessions", json={"handle": ada.handle, "password": "a river, a boat"})
    ada.token = token.json()["token"]
    at, key = f"/v1/posts/{post['id']}", {"Idempotency-Key": "one"}
    mine = await ada.post("Rain on the lake. #calm")
    await ada.call("POST", "/v1/posts", {"body": "Once."}, headers=key)
    await ada.call("PATCH", f"/v1/posts/{mine['id']}", {"version": 1, "body": "Rain on the lake, and wind. #calm"})
    refused = [
        await community.http.post("/v1/posts", json={"body": "Hello."}),
        await ada.call("POST", "/v1/posts", {"body": "", "titel": "x"}),
        await ada.call("POST", "/v1/posts", content=b'{"body": '),
        await ada.call("POST", "/v1/posts", content=b"Hello.", headers={"Content-Type": "text/plain"}),
        await ada.call("POST", "/v1/posts", {"body": "Twice."}, headers=key),
        await ada.call("PATCH", at, {"version": 1, "body": "Not mine."}),
        await ada.call("PATCH", f"/v1/posts/{mine['id']}", {"version": 1, "body": "Too late."}),
        await ada.get("/v1/posts/1"),
        await ada.call("PATCH", "/v1/topics"),
        await community.http.post("/v1/sessions", json={"handle": ada.handle, "password": "a wrong one, this"}),
        *await of_accounts(community, without_mail, ada),
        *await of_roles_and_stories(community, ada),
        *await of_limits(community, ada),
    ]
    assert all(answer.is_client_error or answer.status_code == 503 for answer in refused), [
        (answer.status_code, answer.text) for answer in refused if not answer.is_client_error
    ]
    found = [answer.json() | {"request_id": REQUEST} for answer in refused]
    return {problem["code"]: problem for problem in found}


async def of_accounts(community: Community, without_mail: Community, ada: Member) -> list[httpx.Response]:
    """Handles, addresses, letters, cookies."""
    again = {"handle": ada.handle, "display_name": "Ada", "password": PASSWORD}
    elsewhere = {"handle": ada.handle, "password": "a river, a boat", "cookie": True}
    bo, carol = await community.member(), await community.member()
    until = clock.now() + timedelta(minutes=5)
    for member in (bo, carol):
        made(await member.call("PUT", "/v1/me/email", {"address": "lamp@post.test", "password": PASSWORD}))
    links = [
        sign_link(SECRET, "confirm", account_id=int(each.id), stamp="1", expires_at=until) for each in (bo, carol, bo)
    ]
    confirmed = [await community.http.post("/v1/email/confirm", json={"token": link}) for link in links]
    assert confirmed[0].is_success
    dana = await without_mail.member()
    return [
        await community.http.post("/v1/accounts", json=again),
        await community.http.post("/v1/sessions", json=elsewhere, headers={"Origin": "https://elsewhere.example"}),
        *confirmed[1:],
        await dana.call("PUT", "/v1/me/email", {"address": "dana@post.test", "password": PASSWORD}),
    ]


async def of_roles_and_stories(community: Community, ada: Member) -> list[httpx.Response]:
    """What takes a role, or a story in another state."""
    author = await community.give(await community.member(), "author")
    draft = await story_of(author, title="A lamp", body="Once.")
    told = {"kind": "story", "title": "A lamp", "body": "Once. #calm"}
    return [
        await (await community.member()).get("/v1/grants"),
        await author.call("POST", "/v1/posts", told),
        await author.call("POST", f"/v1/stories/{draft['id']}/withdraw", {"version": 1}),
        await ada.call("DELETE", f"/v1/roles/{ada.handle}"),
    ]


async def of_limits(community: Community, ada: Member) -> list[httpx.Response]:
    """Too much, too often, and a row that somebody else holds."""
    large = await ada.call("POST", "/v1/posts", content=b" " * (2 << 20), headers={"Content-Type": "application/json"})
    wrong = {"handle": (await community.member()).handle, "password": "a wrong one, this"}
    while (often := await community.http.post("/v1/sessions", json=wrong)).status_code == 401:
        pass
    async with community.owner.transaction():
        await community.owner.execute("select * from feed.topic_count for update")
        busy = await ada.call("POST", "/v1/posts", {"body": "Once more. #calm"})
    return [large, often, busy]


def discreet(value: Any) -> Any:
    """Without what could be taken for somebody's credentials."""
    if isinstance(value, dict):
        return {name: SECRETS.get(name) or discreet(each) for name, each in value.items()}
    return [discreet(each) for each in value] if isinstance(value, list) else value


def shape(value: Any) -> Any:
    """The names in it, all the way down; of a list those of its first item."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(each) for each in value[:1]] if isinstance(value, list) else None


async def test_the_recorded_examples_are_what_the_calls_take_and_answer(serve: Serve, community: Community) -> None:
    now = await recorded(community, await serve(mail_from=""))
    if os.environ.get("RECORD"):
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(now), indent=1) + b"\n")
        return
    known = msgspec.to_builtins(RECORDED)
    assert shape(known) == shape(msgspec.to_builtins(msgspec.convert(now, type(RECORDED)))), "run it with RECORD=1"


async def test_every_call_and_every_error_has_an_example_that_fits(community: Community) -> None:
    document = await document_of(community)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None:
                validate(document, body["schema"], body["example"])
            for status, answer in operation["responses"].items():
                content = answer.get("content", {})
                if "application/json" in content:
                    validate(document, content["application/json"]["schema"], content["application/json"]["example"])
                for code, example in content.get("application/problem+json", {}).get("examples", {}).items():
                    validate(document, {"$ref": "#/components/schemas/Problem"}, example["value"])
                    assert (example["value"]["code"], example["value"]["status"]) == (code, int(status)), where


def validate(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(value)
