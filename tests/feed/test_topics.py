"""Topics: found by any spelling, joined and left once however often it is asked."""

import asyncio

import pytest

from tests.feed.community import Community, made, problem


@pytest.mark.parametrize("spelling", ["selfcompassion", "Self-Compassion", "SELF_COMPASSION", "ｓｅｌｆcompassion"])
async def test_any_spelling_of_a_slug_answers(community: Community, spelling: str) -> None:
    await (await community.member()).post("#selfcompassion")
    assert made(await community.get(f"/v1/topics/{spelling}"))["slug"] == "selfcompassion"
    assert len(made(await community.get(f"/v1/topics/{spelling}/posts"))["items"]) == 1


async def test_joining_and_leaving_count_once_and_tell_the_topic_and_the_member(community: Community) -> None:
    ada = await community.member()
    await ada.post("#calm")
    before = await community.last_event()
    joined = made(await ada.call("PUT", "/v1/topics/Calm/membership"))
    assert (joined["slug"], joined["people"], joined["joined"]) == ("calm", 1, True)
    again = made(await ada.call("PUT", "/v1/topics/calm/membership"))
    assert {**again, "as_of": None} == {**joined, "as_of": None}
    for _ in range(2):
        assert (await ada.call("DELETE", "/v1/topics/calm/membership")).status_code == 204
    left = made(await ada.get("/v1/topics/calm"))
    assert (left["people"], left["joined"], left["version"]) == (0, False, joined["version"] + 1)
    events = await community.events(before)
    assert [event["type"] for event in events] == ["topic.changed", "membership.changed"] * 2
    assert events[0]["topic"] == {n: v for n, v in joined.items() if n not in ("joined", "as_of")}
    assert events[1]["channels"] == [f"inbox:{ada.id}"]
    assert [(events[n]["topic"], events[n]["joined"]) for n in (1, 3)] == [("calm", True), ("calm", False)]


async def test_members_who_join_at_once_are_all_counted(community: Community) -> None:
    members = [await community.member() for _ in range(5)]
    await members[0].post("#calm")
    await asyncio.gather(*(member.call("PUT", "/v1/topics/calm/membership") for member in members for _ in range(3)))
    assert made(await community.get("/v1/topics/calm"))["people"] == 5


async def test_topics_are_listed_with_the_most_followed_first_page_by_page(community: Community) -> None:
    ada, ben = await community.member(), await community.member()
    await ada.post("#a #b #c #d #e")
    await ada.call("PUT", "/v1/topics/d/membership")
    await ada.call("PUT", "/v1/topics/b/membership")
    await ben.call("PUT", "/v1/topics/d/membership")
    slugs, path = [], "/v1/topics?limit=2"
    while path:
        response = await ben.get(path)
        page = made(response)
        slugs += [(topic["slug"], topic["joined"]) for topic in page["items"]]
        path = response.headers.get("link", "").partition(">")[0].lstrip("<")
        assert bool(page["next"]) == bool(path)
    assert slugs == [("d", True), ("b", False), ("a", False), ("c", False), ("e", False)]


async def test_what_no_topic_is_called_is_not_found(community: Community) -> None:
    ada = await community.member()
    for slug in ("nowhere", "x" * 101, "%00", "%20", "a%0Ab", "-", "%ED%A0%80", "%F0%9F%99%82"):
        problem(await community.get(f"/v1/topics/{slug}"), 404, "not_found")
        problem(await community.get(f"/v1/topics/{slug}/posts"), 404, "not_found")
        problem(await ada.call("PUT", f"/v1/topics/{slug}/membership"), 404, "not_found")
        problem(await ada.call("DELETE", f"/v1/topics/{slug}/membership"), 404, "not_found")


async def test_a_community_without_topics_lists_none(community: Community) -> None:
    page = made(await community.get("/v1/topics"))
    assert (page["items"], page["next"]) == ([], None)


async def test_pages_of_a_topic_in_any_script_link_to_the_next(community: Community) -> None:
    ada = await community.member()
    for number in range(2):
        await ada.post(f"{number} #日本語")
    response = await community.get("/v1/topics/日本語/posts?limit=1")
    made(response)
    link = response.headers["link"].partition(">")[0].removeprefix("<")
    assert link.startswith("/v1/topics/%E6%97%A5%E6%9C%AC%E8%AA%9E/posts?limit=1&before=")
    page = made(await community.get(link))
    assert [post["body"] for post in page["items"]] == ["0 #日本語"]
