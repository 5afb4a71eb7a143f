"""Reading: positions of the same snapshot, entity tags, and pages that neither repeat nor leave out."""

import json

import pytest

from tests.feed.community import Community, Member, faults, made, problem


async def number(community: Community) -> None:
    """Every event gets its position, as the sequencer gives it."""
    epoch = await community.owner.fetchval("select epoch from eventlog.head")
    async with community.owner.transaction(isolation="repeatable_read"):
        await community.owner.fetch("select * from eventlog.number(0::smallint, $1, 1000)", epoch)


async def reads(community: Community) -> list[str]:
    """The address of every read, each with something to show."""
    ada = await community.member()
    post = await ada.post("#calm")
    comment = await ada.comment(post, "x")
    return [
        "/v1/topics", "/v1/topics/calm", "/v1/topics/calm/posts", "/v1/topics/calm/posts?sort=hot",
        "/v1/topics/calm/posts?kind=post", f"/v1/posts/{post['id']}", f"/v1/posts/{post['id']}/comments",
        f"/v1/comments/{comment['id']}", "/v1/config",
    ]  # fmt: skip


async def test_every_read_bears_the_positions_and_may_be_kept_only_by_its_reader(community: Community) -> None:
    paths = await reads(community)
    await number(community)
    head = await community.owner.fetchval("select seq from eventlog.head")
    assert head > 0
    for path in paths:
        response = await community.get(path)
        body = made(response)
        as_of = json.loads(response.headers["chorus-as-of"])
        assert as_of["seq"] == [head]
        assert body.get("as_of", as_of) == as_of
        assert response.headers["cache-control"] == "private, no-cache"
        assert response.headers["vary"] == "Cookie, Authorization"


async def test_what_a_reader_has_is_not_sent_again_but_the_positions_are(community: Community) -> None:
    ben, paths = await community.member(), await reads(community)
    for path in paths:
        etag = (await ben.get(path)).headers["etag"]
        await community.owner.execute("update eventlog.tick set seq = seq + 1")
        head = await community.owner.fetchval("select seq from eventlog.head")
        for tag in (etag, f'"x", {etag}', etag.removeprefix("W/"), "*"):
            response = await ben.get(path, headers={"If-None-Match": tag})
            assert (response.status_code, response.content) == (304, b"")
            assert json.loads(response.headers["chorus-as-of"])["seq"] == [head]
            assert response.headers["etag"] == etag
        assert (await ben.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_an_entity_tag_is_one_reader_s_and_changes_with_every_change(community: Community) -> None:
    ada, ben = await community.member(), await community.member()
    post = await ada.post("#calm")
    path, listed = f"/v1/posts/{post['id']}", "/v1/topics/calm/posts"
    tags = [
        (await community.get(path)).headers["etag"],
        (await ada.get(path)).headers["etag"],
        (await ben.get(path)).headers["etag"],
    ]
    assert len(set(tags)) == 3
    for method, part, body in (
        ("PUT", "/reaction", {"kind": "hug"}),
        ("POST", "/comments", {"body": "x"}),
        ("PATCH", "", {"version": 1, "title": "New"}),
    ):
        before = [(await community.get(each)).headers["etag"] for each in (path, listed)]
        made(await ada.call(method, f"{path}{part}", body))
        after = [(await community.get(each)).headers["etag"] for each in (path, listed)]
        assert not set(before) & set(after)


@pytest.mark.parametrize("sort", ["new", "hot"])
async def test_pages_hold_every_post_once_and_link_to_the_next(community: Community, sort: str) -> None:
    ada = await community.member()
    posts = [await ada.post(f"#calm {number}") for number in range(7)]
    await ada.call("PUT", f"/v1/posts/{posts[2]['id']}/reaction", {"kind": "hug"})
    for _ in range(2):
        await ada.comment(posts[4], "x")
    seen, path = [], f"/v1/topics/calm/posts?limit=3&sort={sort}"
    while path:
        response = await community.get(path)
        page = made(response)
        seen += [item["id"] for item in page["items"]]
        path = response.headers.get("link", "").partition(">")[0].lstrip("<")
        assert (page["next"] is None) == (not path)
        assert not path or f"sort={sort}" in path
    newest = [post["id"] for post in reversed(posts)]
    hottest = [posts[4]["id"], posts[2]["id"], *(i for i in newest if i not in (posts[4]["id"], posts[2]["id"]))]
    assert seen == (newest if sort == "new" else hottest)


async def test_comments_page_from_the_oldest(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("x")
    comments = [(await ada.comment(post, f"{number}"))["id"] for number in range(5)]
    first = made(await community.get(f"/v1/posts/{post['id']}/comments?limit=2"))
    rest = made(await community.get(f"/v1/posts/{post['id']}/comments?limit=3&before={first['next']}"))
    assert [item["id"] for item in first["items"] + rest["items"]] == comments
    assert rest["next"] is None


async def test_stories_have_a_lane_of_their_own(community: Community) -> None:
    ada = await community.member()
    await ada.post("#calm")
    assert made(await community.get("/v1/topics/calm/posts?kind=story"))["items"] == []
    assert made(await community.get("/v1/topics/calm/posts?kind=story&sort=hot"))["items"] == []
    assert len(made(await community.get("/v1/topics/calm/posts?kind=post"))["items"]) == 1


async def test_a_query_that_cannot_be_meant_is_refused_with_every_fault(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("#calm #other")
    await ada.post("#calm")
    cursor = made(await community.get("/v1/topics/calm/posts?limit=1"))["next"]
    path = "/v1/topics/calm/posts"
    for limit in ("0", "101", "-1", "x", "1.5", "", "９", "9" * 400):
        assert faults(await community.get(path, params={"limit": limit})) == {("limit", "range")}
    for before in ("x", "", "é", "A" * 2000, post["id"], cursor + "A", cursor[:-2], "WzEsMl0"):
        assert faults(await community.get(path, params={"before": before})) == {("before", "cursor")}
    assert faults(await community.get(f"{path}?sort=hot&before={cursor}")) == {("before", "cursor")}
    assert faults(await community.get(f"/v1/posts/{post['id']}/comments?before={cursor}")) == {("before", "cursor")}
    assert faults(await community.get(f"{path}?limit=0&sort=best&kind=poem&before=x")) == {
        ("limit", "range"), ("sort", "unknown_value"), ("kind", "unknown_value"), ("before", "cursor"),
    }  # fmt: skip


async def test_ids_that_name_nothing_are_not_found(community: Community) -> None:
    ada = await community.member()
    for made_up in ("1", "0", "-1", "x", "1e3", "9" * 19, "9" * 40, "%00", "%C3%A9", "01"):
        await nothing_is_called(ada, made_up)


async def nothing_is_called(ada: Member, made_up: str) -> None:
    for method, path, body in (
        ("GET", f"/v1/posts/{made_up}", None),
        ("GET", f"/v1/posts/{made_up}/comments", None),
        ("GET", f"/v1/comments/{made_up}", None),
        ("GET", f"/media/{made_up}/small", None),
        ("PATCH", f"/v1/posts/{made_up}", {"version": 1, "body": "x"}),
        ("DELETE", f"/v1/comments/{made_up}", None),
        ("PUT", f"/v1/posts/{made_up}/reaction", {"kind": "hug"}),
    ):
        problem(await ada.call(method, path, body), 404, "not_found")


async def test_addresses_and_methods_that_are_not_there_are_problems_too(community: Community) -> None:
    problem(await community.get("/v1/nothing"), 404, "not_found")
    refused = await community.http.put("/v1/posts", json={})
    problem(refused, 405, "method_not_allowed")
    assert "POST" in refused.headers["allow"]
