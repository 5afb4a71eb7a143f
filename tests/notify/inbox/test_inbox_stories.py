"""An author learns what a moderator did with a story, and forgets it again with the story."""

from services.notify.inbox.notifier import Notifier
from shared.postgres import Pool
from tests.notify.inbox.community import Community
from tests.notify.inbox.driving import catch_up, inbox, kinds


async def test_an_author_is_told_that_a_story_came_back_and_that_it_is_published(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, mo = await community.members(["ann", "mo"])
    story, _ = await community.story(ann, "returned", mo, version=3)
    await catch_up(notifier, community, pool)
    [line] = (await inbox(pool, ann)).items
    assert (line.kind, line.actor, line.post_id, line.comment_id) == ("story_returned", mo.author, str(story), None)
    await community.story(ann, "returned", mo, story_id=story, version=5)
    _, post = await community.story(ann, "published", mo, story_id=story, version=7)
    for _ in range(2):  # as it happens, and handed over once more from the beginning
        await catch_up(notifier, community, pool)
        assert [kind for kind, _ in await kinds(pool, ann)] == ["story_published", "story_returned", "story_returned"]
    assert post is not None
    assert (await inbox(pool, ann)).items[0].post_id == post.id
    assert await kinds(pool, mo) == []
    await community.delete_post(post)
    await catch_up(notifier, community, pool)
    assert [kind for kind, _ in await kinds(pool, ann)] == ["story_returned", "story_returned"]


async def test_a_story_that_is_gone_takes_its_lines_with_it_in_any_order(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, mo = await community.members(["ann", "mo"])
    story, _ = await community.story(ann, "returned", mo)
    await catch_up(notifier, community, pool)
    await community.story(ann, "deleted", ann, story_id=story)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == []
    late, _ = await community.story(ann, "returned", mo)
    await community.story(ann, "deleted", ann, story_id=late)
    await catch_up(notifier, community, pool)  # in one batch
    assert await kinds(pool, ann) == []


async def test_nobody_is_told_of_their_own_doing_or_of_steps_of_the_author(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, mo = await community.members(["ann", "mo"])
    await community.story(mo, "published", mo)
    await community.story(ann, "draft", ann)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == await kinds(pool, mo) == []
