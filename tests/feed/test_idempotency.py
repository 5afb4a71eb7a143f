"""Idempotency-Key: done once, answered the same, whoever asks again and when."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.feed.community import Community, Member, faults, made, problem
from tests.feed.test_media import picture, upload


async def send(member: Member, path: str, body: Any, key: str = "key-1") -> httpx.Response:
    return await member.call("POST", path, body, headers={"Idempotency-Key": key})


async def test_the_same_request_again_gets_the_first_answer_and_writes_nothing(community: Community) -> None:
    ada = await community.member()
    post = made(await send(ada, "/v1/posts", {"body": "once #here #new"}))
    comments = f"/v1/posts/{post['id']}/comments"
    comment = made(await send(ada, comments, {"body": "once"}, "key-2"))
    before = await community.row_counts()
    for path, body, key, first in (
        ("/v1/posts", {"body": "once #here #new"}, "key-1", post),
        (comments, {"body": "once"}, "key-2", comment),
    ):
        again = await send(ada, path, body, key)
        assert (again.status_code, again.json()) == (201, first)
        assert again.headers["idempotency-replayed"] == "true"
    assert await community.row_counts() == before


async def test_another_request_under_the_same_key_is_refused(community: Community) -> None:
    ada = await community.member()
    post = made(await send(ada, "/v1/posts", {"body": "once"}))
    before = await community.row_counts()
    problem(await send(ada, "/v1/posts", {"body": "twice #fresh"}), 422, "idempotency_key_reused")
    problem(await send(ada, f"/v1/posts/{post['id']}/comments", {"body": "once"}), 422, "idempotency_key_reused")
    assert await community.row_counts() == before


async def test_requests_side_by_side_under_one_key_write_once(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("x")
    for path, key in (("/v1/posts", "a"), (f"/v1/posts/{post['id']}/comments", "b")):
        answers = await asyncio.gather(*(send(ada, path, {"body": "once #here"}, key) for _ in range(6)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
    assert made(await community.get("/v1/topics/here"))["posts"] == 1
    assert made(await community.get(f"/v1/posts/{post['id']}"))["counts"]["comments"] == 1


async def test_a_key_belongs_to_its_member(community: Community) -> None:
    ada, ben = await community.member(), await community.member()
    first, second = [made(await send(member, "/v1/posts", {"body": "mine"})) for member in (ada, ben)]
    assert first["id"] != second["id"]


async def test_a_refused_request_leaves_its_key_free(community: Community) -> None:
    ada = await community.member()
    assert faults(await send(ada, "/v1/posts", {"body": "x", "media": ["123"]}))
    made(await send(ada, "/v1/posts", {"body": "x"}))


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "é"])
async def test_a_key_that_is_none_is_a_fault(community: Community, key: str) -> None:
    ada = await community.member()
    before = await community.row_counts()
    headers = {b"Authorization": f"Bearer {ada.token}".encode(), b"Idempotency-Key": key.encode()}
    response = await community.http.post("/v1/posts", json={"body": "x"}, headers=headers)
    assert faults(response) == {("Idempotency-Key", "malformed")}
    assert await community.row_counts() == before


async def test_a_replay_is_answered_though_its_photo_is_taken_and_its_place_gone(community: Community) -> None:
    ada = await community.member()
    photo = made(await upload(ada, picture()))
    body = {"body": "look", "media": [photo["id"]]}
    answers = await asyncio.gather(*(send(ada, "/v1/posts", body) for _ in range(4)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert faults(await send(ada, "/v1/posts", body, "key-2")) == {("media.0", "taken")}

    post = answers[0].json()
    first = await ada.comment(post, "First")
    path, reply = f"/v1/posts/{post['id']}/comments", {"body": "Answer", "parent": first["id"]}
    answer = await send(ada, path, reply, "reply")
    for gone in (f"/v1/comments/{first['id']}", f"/v1/posts/{post['id']}"):
        assert (await ada.call("DELETE", gone)).status_code == 204
        again = await send(ada, path, reply, "reply")
        assert (again.status_code, again.text, again.headers["idempotency-replayed"]) == (201, answer.text, "true")
    problem(await send(ada, path, {"body": "x"}, "reply"), 422, "idempotency_key_reused")
    problem(await send(ada, path, {"body": "x"}, "other"), 404)
