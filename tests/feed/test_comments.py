"""Comments: a thread, its counts, and the places that deleted ones keep."""

import asyncio
from typing import Any

import pytest

from tests.feed.community import Community, faults, made, problem


async def post_counts(community: Community, post: dict[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = made(await community.get(f"/v1/posts/{post['id']}"))["counts"]
    return counts


async def test_a_thread_reads_oldest_first_with_replies_counted(community: Community) -> None:
    ada, ben = await community.member(), await community.member()
    post = await ada.post("#talk about it")
    first = await ben.comment(post, "First")
    reply = await ada.comment(post, "Answer", first)
    second = await ben.comment(post, "Second")
    assert (first["parent"], reply["parent"]) == (None, first["id"])
    assert first["counts"] == {"reactions": {}, "reaction_total": 0, "replies": 0, "version": 0}
    page = made(await community.get(f"/v1/posts/{post['id']}/comments"))
    assert [item["id"] for item in page["items"]] == [first["id"], reply["id"], second["id"]]
    assert page["items"][0] == {**first, "mine": None, "counts": {**first["counts"], "replies": 1, "version": 1}}
    assert (await post_counts(community, post))["comments"] == 3


async def test_a_comment_tells_its_post_and_both_counts(community: Community) -> None:
    ada, ben = await community.member(), await community.member()
    post = await ada.post("#talk")
    first = await ben.comment(post, "First")
    before = await community.last_event()
    reply = await ada.comment(post, "Answer", first)
    created, of_post, of_parent = await community.events(before)
    assert created["type"] == "comment.created"
    assert created["comment"] == {name: value for name, value in reply.items() if name != "mine"}
    assert created["channels"] == [f"post:{post['id']}", f"member:{ada.id}"]
    assert of_post["counts"] == await post_counts(community, post)
    assert "comment_id" not in of_post
    assert of_post["channels"] == [f"post:{post['id']}", "topic:talk", f"member:{ada.id}"]
    assert (of_parent["comment_id"], of_parent["post_id"]) == (first["id"], post["id"])
    assert (of_parent["counts"]["replies"], of_parent["counts"]["version"]) == (1, 1)
    assert of_parent["channels"] == [f"post:{post['id']}", f"member:{ben.id}"]


async def test_many_comments_at_once_are_counted_exactly(community: Community) -> None:
    members = [await community.member() for _ in range(4)]
    post = await members[0].post("busy")
    first = await members[0].comment(post, "answer me")
    await asyncio.gather(*(member.comment(post, f"{n}", first) for n in range(4) for member in members))
    assert (await post_counts(community, post))["comments"] == 17
    assert made(await community.get(f"/v1/comments/{first['id']}"))["counts"]["replies"] == 16
    told = [e["counts"] for e in await community.events() if e["type"] == "counts.changed" and "comment_id" not in e]
    assert [counts["version"] for counts in told] == list(range(1, 18))
    assert [counts["comments"] for counts in told] == list(range(1, 18))


async def test_a_deleted_comment_keeps_its_place_without_its_words(community: Community) -> None:
    ada, ben = await community.member(), await community.member()
    post = await ada.post("x")
    first = await ben.comment(post, "Secret #words @nobody")
    reply = await ada.comment(post, "Answer", first)
    before = await community.last_event()
    assert (await ben.call("DELETE", f"/v1/comments/{first['id']}")).status_code == 204
    place, answer = made(await community.get(f"/v1/posts/{post['id']}/comments"))["items"]
    assert (place["body"], place["entities"], place["deleted"], place["version"]) == ("", [], True, 2)
    assert (place["author"], place["counts"]["replies"]) == (first["author"], 1)
    assert answer == {**reply, "mine": None}
    assert (await post_counts(community, post))["comments"] == 1
    deleted, counts = await community.events(before)
    assert (deleted["type"], deleted["comment_id"], deleted["post_id"], deleted["version"]) == (
        "comment.deleted", first["id"], post["id"], 2,
    )  # fmt: skip
    assert counts["counts"]["comments"] == 1


async def test_deleting_an_answer_counts_down_at_what_it_answered(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("x")
    first = await ada.comment(post, "First")
    reply = await ada.comment(post, "Answer", first)
    await ada.call("DELETE", f"/v1/comments/{reply['id']}")
    assert made(await community.get(f"/v1/comments/{first['id']}"))["counts"] == {
        "reactions": {}, "reaction_total": 0, "replies": 0, "version": 2,
    }  # fmt: skip


async def test_a_deleted_comment_takes_nothing_more(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("x")
    first = await ada.comment(post, "First")
    await ada.call("DELETE", f"/v1/comments/{first['id']}")
    before = await community.row_counts()
    path = f"/v1/comments/{first['id']}"
    problem(await ada.call("DELETE", path), 404)
    problem(await ada.call("PATCH", path, {"version": 2, "body": "again"}), 404)
    problem(await ada.call("PUT", f"{path}/reaction", {"kind": "hug"}), 404)
    body = {"body": "late", "parent": first["id"]}
    assert faults(await ada.call("POST", f"/v1/posts/{post['id']}/comments", body)) == {("parent", "not_found")}
    assert await community.row_counts() == before


async def test_an_answer_stands_below_the_post_of_what_it_answers(community: Community) -> None:
    ada = await community.member()
    here, there = await ada.post("here"), await ada.post("there")
    first = await ada.comment(there, "First")
    before = await community.row_counts()
    for parent in (first["id"], "123", str(2**63 - 1), str(2**63)):
        body = {"body": "x", "parent": parent}
        assert faults(await ada.call("POST", f"/v1/posts/{here['id']}/comments", body)) == {("parent", "not_found")}
    assert await community.row_counts() == before


async def test_a_comment_is_changed_by_its_author_alone_and_not_from_a_stale_version(community: Community) -> None:
    ada, ben = await community.member(), await community.member("ben")
    post = await ada.post("x")
    comment = await ada.comment(post, "First")
    path, before = f"/v1/comments/{comment['id']}", await community.last_event()
    edited = made(await ada.call("PATCH", path, {"version": 1, "body": "Better, @ben"}))
    assert (edited["body"], edited["version"], edited["entities"][0]["account_id"]) == ("Better, @ben", 2, ben.id)
    (event,) = await community.events(before)
    assert event["type"] == "comment.edited"
    assert event["comment"] == {name: value for name, value in edited.items() if name != "mine"}
    problem(await ada.call("PATCH", path, {"version": 1, "body": "y"}), 409, "stale_version")
    after = await community.last_event()
    assert made(await ada.call("PATCH", path, {"version": 2, "body": "Better, @ben"})) == edited
    assert await community.last_event() == after, "words that stay tell nobody"
    problem(await ben.call("PATCH", path, {"version": 2, "body": "y"}), 403)
    problem(await ben.call("DELETE", path), 403)


@pytest.mark.parametrize("body", [" ", "", "x" * 5001, "\u0007"])
async def test_words_that_cannot_be_taken_leave_everything_as_it_was(community: Community, body: str) -> None:
    ada = await community.member()
    post = await ada.post("x")
    before = await community.row_counts()
    assert faults(await ada.call("POST", f"/v1/posts/{post['id']}/comments", {"body": body}))
    assert await community.row_counts() == before
