"""The examples of the documentation are what the calls take and answer. `RECORD=1` records them anew."""

import os
from typing import Any

import jsonschema_rs
import msgspec

from services.feed.api.examples import FILE, RECORDED
from tests.feed.community import Community, Member
from tests.feed.test_openapi import document_of, example_calls

SECRETS = {"token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…", "ticket": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…"}
REQUEST = "9f2c4e1ab07d5533"


async def recorded(community: Community) -> dict[str, Any]:
    """Every call made, and those problems that can be had at will."""
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
    return {"calls": calls, "problems": await problems(community, ada)}


async def problems(community: Community, ada: Member) -> dict[str, Any]:
    """What the commonest mistakes are answered, by code."""
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
    ]
    assert all(answer.is_client_error for answer in refused), [answer.status_code for answer in refused]
    found = [answer.json() | {"request_id": REQUEST} for answer in refused]
    return {problem["code"]: problem for problem in found}


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


async def test_the_recorded_examples_are_what_the_calls_take_and_answer(community: Community) -> None:
    now = await recorded(community)
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
