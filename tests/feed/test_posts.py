"""Posts: taken as they are written, changed by their authors, and gone when they are deleted."""

import asyncio

import pytest

from tests.feed.community import Community, Member, faults, made, problem
from tests.feed.conftest import Serve


async def headers_of(community: Community, *slugs: str) -> dict[str, int]:
    """How many posts each topic counts."""
    return {slug: made(await community.get(f"/v1/topics/{slug}"))["posts"] for slug in slugs}


async def test_a_body_comes_back_to_the_character(community: Community) -> None:
    body = '  Two  spaces, “mixed" quotes’,\nsingle\n\n\nlines\ttab 🇹🇼 😮\u200d💨 👩🏽\u200d🚀 e\u0301 \u00a0 end \n'
    post = await (await community.member()).post(body, title="A title — with “quotes”")
    read = made(await community.get(f"/v1/posts/{post['id']}"))
    assert read["body"] == body
    assert read["title"] == "A title — with “quotes”"


@pytest.mark.parametrize("body", ["x", "x" * 5000, "🙂" * 5000])
async def test_bodies_of_one_to_five_thousand_code_points_are_taken(community: Community, body: str) -> None:
    assert (await (await community.member()).post(body))["body"] == body


async def test_topics_are_those_asked_for_and_then_those_of_the_text_without_repeats(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("#one then #Two, #ONE and well.#three", topics=["Two", "zero", "t-w-o"])
    assert post["topics"] == ["two", "zero", "one", "three"]
    stored = await community.owner.fetch("select topic, asked, in_text from feed.post_topic order by topic")
    assert [tuple(row) for row in stored] == [("one", None, 0), ("three", None, 2), ("two", 0, 1), ("zero", 1, None)]


async def test_the_first_spelling_of_a_tag_names_its_topic(community: Community) -> None:
    ada = await community.member()
    await ada.post("#Self_Compassion first")
    await ada.post("#selfcompassion later", topics=["SELF-compassion"])
    header = made(await community.get("/v1/topics/selfcompassion"))
    assert (header["tag"], header["name"], header["posts"]) == ("Self_Compassion", "Self_Compassion", 2)


async def test_sixty_tags_make_sixty_topics(community: Community) -> None:
    tags = [f"tag{number}" for number in range(60)]
    post = await (await community.member()).post(" ".join(f"#{tag}" for tag in tags))
    assert post["topics"] == tags


async def test_mentions_are_of_members_and_unknown_handles_are_words(community: Community) -> None:
    ada, ben = await community.member("ada"), await community.member("ben")
    post = await ada.post("Thank you @Ben and @nobody_at_all, see https://example.org/@ben")
    assert [(entity["type"], entity.get("account_id")) for entity in post["entities"]] == [
        ("mention", ben.id),
        ("link", None),
    ]


async def test_members_who_post_at_once_with_the_same_new_tag_all_count(community: Community) -> None:
    members = [await community.member() for _ in range(4)]
    posts = await asyncio.gather(*(m.post(f"#fresh #brand{n % 2} again {n}") for n, m in enumerate(members * 3)))
    assert len({post["id"] for post in posts}) == 12
    assert await headers_of(community, "fresh", "brand0", "brand1") == {"fresh": 12, "brand0": 6, "brand1": 6}
    versions = [
        e["topic"]["version"] for e in await community.events() if e["channels"] == ["topic:fresh"] and "topic" in e
    ]
    assert versions == sorted(versions), "events of one topic run in the order of its versions"


async def test_a_story_has_a_title_and_is_counted_and_listed_as_one(community: Community) -> None:
    ada = await community.give(await community.member(), "moderator")
    before = await community.row_counts()
    refused = problem(await ada.call("POST", "/v1/posts", {"body": "Once", "kind": "story"}), 422, "invalid")
    assert [fault["field"] for fault in refused["errors"]] == ["title"]
    assert await community.row_counts() == before
    story = made(await ada.call("POST", "/v1/posts", {"body": "Once #tales", "kind": "story", "title": "Far off"}))
    assert story["kind"] == "story"
    topic = made(await community.get("/v1/topics/tales"))
    assert (topic["stories"], topic["posts"]) == (1, 0)
    listed = made(await community.get("/v1/topics/tales/posts?kind=story"))["items"]
    assert [item["id"] for item in listed] == [story["id"]]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"body": " \n\t"}, {("body", "blank")}),
        ({"body": ""}, {("body", "too_short")}),
        ({"body": "x" * 5001}, {("body", "too_long")}),
        ({"body": "a\x00b"}, {("body", "control_character")}),
        ({"body": "x", "title": "two\nlines"}, {("title", "control_character")}),
        ({"body": "x", "title": "t" * 201}, {("title", "too_long")}),
        ({"body": "x", "topics": ["no spaces", "fine", "#"]}, {("topics.0", "topic"), ("topics.2", "topic")}),
        ({"body": "x", "media": ["1", "1"]}, {("media", "repeated")}),
        ({"body": "x", "media": ["12"]}, {("media.0", "not_found")}),
        ({"body": 5, "title": " ", "mood": "x"}, {("body", "type"), ("title", "blank"), ("mood", "unknown")}),
        ({}, {("body", "required")}),
    ],
)
async def test_a_post_that_is_not_valid_is_refused_whole(
    community: Community, fields: dict[str, object], expected: set[tuple[str, str]]
) -> None:
    ada = await community.member()
    before = await community.row_counts()
    assert faults(await ada.call("POST", "/v1/posts", {"topics": ["made_with_it"], **fields})) >= expected
    assert await community.row_counts() == before


async def test_an_edit_moves_version_topics_and_counts_and_tells_old_and_new_channels(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("#old #kept", topics=["asked"])
    before = await community.last_event()
    edited = made(await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "#kept #new"}))
    assert edited["topics"] == ["asked", "kept", "new"]
    assert edited["version"] == 2
    assert edited["edited_at"] is not None
    assert edited["created_at"] == post["created_at"]
    assert await headers_of(community, "old", "kept", "new", "asked") == {"old": 0, "kept": 1, "new": 1, "asked": 1}
    events = await community.events(before)
    assert sorted(e["topic"]["slug"] for e in events if e["type"] == "topic.changed") == ["new", "old"]
    (event,) = [e for e in events if e["type"] == "post.edited"]
    assert event["post"] == {name: value for name, value in edited.items() if name != "mine"}
    assert set(event["channels"]) == {
        f"post:{post['id']}", f"member:{ada.id}", "topic:old", "topic:kept", "topic:new", "topic:asked",
    }  # fmt: skip


async def test_an_edit_changes_only_what_it_names_and_null_clears(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("Words. #stay", title="Title", content_warning="loss", topics=["asked"])
    edited = made(await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "title": None}))
    assert edited["title"] is None
    for name in ("body", "content_warning", "topics", "entities", "counts"):
        assert edited[name] == post[name]


async def test_a_stale_version_changes_nothing(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("first")
    made(await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "second"}))
    before = await community.row_counts()
    problem(
        await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "third #x"}), 409, "stale_version"
    )
    assert made(await community.get(f"/v1/posts/{post['id']}"))["body"] == "second"
    assert await community.row_counts() == before


async def test_an_edit_that_changes_nothing_changes_nothing(community: Community) -> None:
    ada = await community.member()
    words: dict[str, object] = {
        "body": "As it is. #tea",
        "title": "Calm",
        "topics": ["Rest", "tea"],
        "content_warning": None,
    }
    post = made(await ada.call("POST", "/v1/posts", words))
    path, rows, last = f"/v1/posts/{post['id']}", await community.row_counts(), await community.last_event()
    same: list[dict[str, object]] = [{}, words, {"topics": ["REST", "T-e-a"]}, {"media": []}, {"title": "Calm"}]
    for wanted in same:
        assert made(await ada.call("PATCH", path, {"version": 1, **wanted})) == post
    assert (await community.row_counts(), await community.last_event()) == (rows, last)
    problem(await ada.call("PATCH", path, {"version": 2, **words}), 409, "stale_version")
    turned = made(await ada.call("PATCH", path, {"version": 1, "topics": ["tea", "rest"]}))
    assert (turned["version"], turned["topics"]) == (2, ["tea", "rest"])


async def test_of_two_edits_at_once_one_is_stale(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("first #a")
    path = f"/v1/posts/{post['id']}"
    answers = await asyncio.gather(*(ada.call("PATCH", path, {"version": 1, "body": f"#t{n}"}) for n in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_edits_and_deletions_that_cross_leave_counts_exact(community: Community) -> None:
    ada = await community.member()
    posts = [await ada.post(f"#a #b {n}") for n in range(6)]

    async def edit(post: dict[str, object], body: str) -> int:
        return (await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": body})).status_code

    async def delete(post: dict[str, object]) -> int:
        return (await ada.call("DELETE", f"/v1/posts/{post['id']}")).status_code

    done = await asyncio.gather(
        *(edit(post, "#b #c") for post in posts[:4]),
        *(edit(post, "#c #a") for post in posts[2:]),
        *(delete(p) for p in posts[4:]),
    )
    assert set(done) <= {200, 204, 404, 409}
    rows = await community.owner.fetch("select topic, count(*) from feed.post_topic group by topic")
    stored = {row["topic"]: row["count"] for row in rows}
    assert await headers_of(community, "a", "b", "c") == {slug: stored.get(slug, 0) for slug in ("a", "b", "c")}


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_what_somebody_else_wrote_is_not_yours(community: Community, method: str) -> None:
    ada, ben = await community.member(), await community.member()
    post = await ada.post("mine #x")
    before = await community.row_counts()
    body = {"version": 1, "body": "yours"} if method == "PATCH" else None
    problem(await ben.call(method, f"/v1/posts/{post['id']}", body), 403, "forbidden")
    assert await community.row_counts() == before


async def gone_for(member: Member, post: dict[str, object], comment: dict[str, object]) -> None:
    for method, path, body in (
        ("GET", f"/v1/posts/{post['id']}", None),
        ("PATCH", f"/v1/posts/{post['id']}", {"version": 2, "body": "again"}),
        ("DELETE", f"/v1/posts/{post['id']}", None),
        ("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "hug"}),
        ("DELETE", f"/v1/posts/{post['id']}/reaction", None),
        ("GET", f"/v1/posts/{post['id']}/comments", None),
        ("POST", f"/v1/posts/{post['id']}/comments", {"body": "late"}),
        ("GET", f"/v1/comments/{comment['id']}", None),
        ("PATCH", f"/v1/comments/{comment['id']}", {"version": 1, "body": "late"}),
        ("DELETE", f"/v1/comments/{comment['id']}", None),
        ("PUT", f"/v1/comments/{comment['id']}/reaction", {"kind": "hug"}),
    ):
        problem(await member.call(method, path, body), 404, "not_found")


async def test_a_deleted_post_is_gone_with_its_words_its_counts_and_its_thread(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("Secret words. #here", title="Secret title", content_warning="secret")
    comment = await ada.comment(post, "below")
    before = await community.last_event()
    assert (await ada.call("DELETE", f"/v1/posts/{post['id']}")).status_code == 204
    events = await community.events(before)
    (deleted,) = [event for event in events if event["type"] == "post.deleted"]
    assert (deleted["post_id"], deleted["version"]) == (post["id"], 2)
    assert set(deleted["channels"]) == {f"post:{post['id']}", "topic:here", f"member:{ada.id}"}
    counts = await community.row_counts()
    await gone_for(ada, post, comment)
    assert await community.row_counts() == counts
    assert await headers_of(community, "here") == {"here": 0}
    assert made(await community.get("/v1/topics/here/posts"))["items"] == []
    row = await community.owner.fetchrow("select * from feed.post where id = $1", int(post["id"]))
    assert "ecret" not in str(row)


async def test_writes_of_one_member_are_limited(serve: Serve) -> None:
    community = await serve(writes_per_minute=2)
    ada, ben = await community.member(), await community.member()
    post = await ada.post("one")
    await ada.comment(post, "two")
    refused = await ada.call("POST", "/v1/posts", {"body": "three"})
    problem(refused, 429, "too_many")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    await ben.post("another member")
