"""Reactions: one a member, set and not toggled, counted exactly whoever comes at the same moment."""

import asyncio
from typing import Any

from tests.feed.community import Community, faults, made


async def places(community: Community) -> tuple[Any, list[str]]:
    """A member, and the addresses of a post and a comment of theirs."""
    ada = await community.member()
    post = await ada.post("#here")
    comment = await ada.comment(post, "below")
    return ada, [f"/v1/posts/{post['id']}", f"/v1/comments/{comment['id']}"]


async def test_a_reaction_is_set_changed_and_withdrawn(community: Community) -> None:
    _, paths = await places(community)
    ben = await community.member()
    for path in paths:
        start = made(await ben.get(path))["counts"]["version"]
        hugged = made(await ben.call("PUT", f"{path}/reaction", {"kind": "hug"}))
        assert hugged["mine"] == {"reaction": "hug"}
        assert (hugged["counts"]["reactions"], hugged["counts"]["reaction_total"]) == ({"hug": 1}, 1)
        changed = made(await ben.call("PUT", f"{path}/reaction", {"kind": "joy"}))
        assert (changed["counts"]["reactions"], changed["counts"]["reaction_total"]) == ({"joy": 1}, 1)
        assert (await ben.call("DELETE", f"{path}/reaction")).status_code == 204
        read = made(await ben.get(path))
        assert read["mine"] == {"reaction": None}
        assert (read["counts"]["reactions"], read["counts"]["version"]) == ({}, start + 3)


async def test_repeats_tell_nobody_and_change_nothing(community: Community) -> None:
    ada, paths = await places(community)
    for path in paths:
        await ada.call("DELETE", f"{path}/reaction")
        first = made(await ada.call("PUT", f"{path}/reaction", {"kind": "hug"}))
        before = await community.last_event()
        assert made(await ada.call("PUT", f"{path}/reaction", {"kind": "hug"})) == first
        assert await community.last_event() == before
        await ada.call("DELETE", f"{path}/reaction")
        before = await community.last_event()
        assert (await ada.call("DELETE", f"{path}/reaction")).status_code == 204
        assert await community.last_event() == before


async def test_a_reaction_tells_the_counts_to_all_and_the_choice_to_its_member(community: Community) -> None:
    ada, (post, comment) = await places(community)
    ben = await community.member()
    post_id, comment_id = post.rpartition("/")[2], comment.rpartition("/")[2]
    before = await community.last_event()
    on_post = made(await ben.call("PUT", f"{post}/reaction", {"kind": "hug"}))
    on_comment = made(await ben.call("PUT", f"{comment}/reaction", {"kind": "joy"}))
    counts, mine, comment_counts, comment_mine = await community.events(before)
    assert counts["counts"] == on_post["counts"]
    assert counts["channels"] == [f"post:{post_id}", "topic:here", f"member:{ada.id}"]
    assert mine["channels"] == comment_mine["channels"] == [f"inbox:{ben.id}"]
    assert (mine["post_id"], mine["comment_id"], mine["reaction"]) == (post_id, None, "hug")
    assert comment_counts["counts"] == on_comment["counts"]
    assert (comment_counts["comment_id"], comment_counts["channels"]) == (
        comment_id, [f"post:{post_id}", f"member:{ada.id}"],
    )  # fmt: skip
    assert (comment_mine["comment_id"], comment_mine["reaction"]) == (comment_id, "joy")


async def test_reactions_at_the_same_moment_are_all_counted_once(community: Community) -> None:
    _, paths = await places(community)
    members = [await community.member() for _ in range(5)]
    kinds = ["heart", "hug", "heart", "joy", "hug"]
    for path in paths:
        await asyncio.gather(
            *(
                member.call("PUT", f"{path}/reaction", {"kind": kind})
                for member, last in zip(members, kinds, strict=True)
                for kind in ("relate", last)
            )
        )
        await asyncio.gather(
            *(m.call("PUT", f"{path}/reaction", {"kind": k}) for m, k in zip(members, kinds, strict=True))
        )
        counts = made(await community.get(path))["counts"]
        assert counts["reactions"] == {"heart": 2, "hug": 2, "joy": 1}
        assert counts["reaction_total"] == 5


async def test_a_kind_that_this_community_does_not_have_is_named(community: Community) -> None:
    ada, paths = await places(community)
    before = await community.row_counts()
    for path in paths:
        assert faults(await ada.call("PUT", f"{path}/reaction", {"kind": "thumbs_down"})) == {("kind", "unknown_value")}
    assert await community.row_counts() == before


async def test_guests_see_no_reaction_of_theirs_and_others_see_their_own(community: Community) -> None:
    ada, paths = await places(community)
    ben = await community.member()
    for path in paths:
        await ada.call("PUT", f"{path}/reaction", {"kind": "hug"})
        assert made(await community.get(path))["mine"] is None
        assert made(await ada.get(path))["mine"] == {"reaction": "hug"}
        assert made(await ben.get(path))["mine"] == {"reaction": None}
    listed = made(await ada.get("/v1/topics/here/posts"))["items"][0]
    assert listed["mine"] == {"reaction": "hug"}
