"""Who is told what, and when it is taken away again."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from services.notify.inbox import inbox as inbox_module
from services.notify.inbox.notifier import Notifier
from services.notify.inbox.recipients import Authors, Written, notices_of
from shared.ids import new_id
from shared.postgres import Pool
from tests.notify.inbox.community import Community
from tests.notify.inbox.driving import catch_up, inbox, kinds


async def test_a_comment_on_your_post_is_told(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    comment = await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    [line] = (await inbox(pool, ann)).items
    assert (line.kind, line.actor, line.post_id, line.comment_id) == ("comment", bob.author, post.id, comment.id)
    assert not line.read
    assert await kinds(pool, bob) == []


async def test_an_answer_to_your_comment_is_told(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    post = await community.post(ann)
    first = await community.comment(bob, post)
    await community.comment(cat, post, parent=first)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("reply", "cat")]
    assert await kinds(pool, ann) == [("comment", "cat"), ("comment", "bob")]


async def test_a_mention_in_a_post_and_in_a_comment_is_told(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann, mentions=[bob, ann])
    await community.comment(ann, post, mentions=[bob])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("mention", "ann")] * 2
    assert await kinds(pool, ann) == []


async def test_one_comment_tells_one_recipient_once_and_a_mention_outranks_a_reply(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    post = await community.post(ann)
    own = await community.comment(ann, post)
    theirs = await community.comment(bob, post)
    await community.comment(cat, post, parent=own, mentions=[ann])
    await community.comment(cat, post, parent=own)
    await community.comment(cat, post, parent=theirs, mentions=[ann])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("mention", "cat"), ("reply", "cat"), ("mention", "cat"), ("comment", "bob")]


async def test_an_edit_tells_those_it_brings_in_and_takes_back_what_it_takes_out(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    post = await community.post(ann, mentions=[bob])
    comment = await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    await community.edit_post(post, mentions=[bob, cat])
    await community.edit_comment(comment, mentions=[ann, cat])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("mention", "ann")]
    assert await kinds(pool, cat) == [("mention", "bob"), ("mention", "ann")]
    assert await kinds(pool, ann) == [("comment", "bob")]
    await community.edit_post(post, mentions=[cat])
    await community.edit_comment(comment, mentions=[])
    for _ in range(2):  # as it happens, and handed over once more from the beginning
        await catch_up(notifier, community, pool)
        assert await kinds(pool, bob) == []
        assert await kinds(pool, cat) == [("mention", "ann")]
        assert await kinds(pool, ann) == [("comment", "bob")]
        removed = [fields for _, kind, fields in await community.told(bob) if kind == "notification.removed"]
        assert [fields["unread"] for fields in removed] == [0]
        await pool.execute("delete from notify.cursor")


async def test_a_mention_that_is_gone_before_it_was_handled_tells_nobody_of_it(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann, mentions=[bob])
    comment = await community.comment(bob, post, mentions=[ann])
    await community.edit_post(post, mentions=[])
    await community.edit_comment(comment, mentions=[])
    await catch_up(notifier, community, pool)
    assert await community.told(bob) == []
    assert await kinds(pool, ann) == [("comment", "bob")]


async def test_whom_a_comment_answers_still_knows_once_a_mention_was_taken_out(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    post = await community.post(ann)
    first = await community.comment(bob, post)
    answer = await community.comment(cat, post, parent=first, mentions=[ann, bob])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("mention", "cat")]
    await community.edit_comment(answer, mentions=[bob])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("comment", "cat"), ("comment", "bob")]
    assert await kinds(pool, bob) == [("mention", "cat")]
    await community.edit_comment(answer, mentions=[])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("reply", "cat")]


async def test_a_mention_that_comes_back_is_told_again_as_one_line(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann, mentions=[bob])
    for mentions in ([], [bob], [bob], [], [bob]):
        await catch_up(notifier, community, pool)
        await community.edit_post(post, mentions=mentions)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("mention", "ann")]
    types = [kind.rpartition(".")[2] for _, kind, _ in await community.told(bob)]
    assert types == ["changed", "removed", "changed", "removed", "changed"]


@pytest.mark.parametrize("on_comment", [False, True])
async def test_a_reaction_is_told_once_and_taken_back_with_it(
    community: Community, notifier: Notifier, pool: Pool, on_comment: bool
) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    post = await community.post(bob if on_comment else ann)
    target = await community.comment(ann, post) if on_comment else post
    await community.react(bob, target, "heart")
    await community.react(cat, target, "joy")
    await community.react(ann, target, "joy")
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("reaction", "cat"), ("reaction", "bob")]
    await community.react(bob, target, "hug")
    await catch_up(notifier, community, pool)
    assert len(await kinds(pool, ann)) == 2
    await community.react(bob, target, None)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("reaction", "cat")]
    types = [kind for _, kind, _ in await community.told(ann)]
    assert types == ["notification.changed"] * 2 + ["notification.removed"]


async def test_a_reaction_withdrawn_before_it_was_handled_tells_nobody(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.react(bob, post, "heart")
    await community.react(bob, post, None)
    await catch_up(notifier, community, pool)
    assert await community.told(ann) == []


async def test_deleting_a_comment_takes_its_lines_away_and_leaves_the_answers(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    post = await community.post(ann)
    comment = await community.comment(bob, post, mentions=[cat])
    await community.comment(cat, post, parent=comment)
    await community.react(ann, comment, "heart")
    await catch_up(notifier, community, pool)
    await community.delete_comment(comment)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("comment", "cat")]
    assert await kinds(pool, bob) == [("reply", "cat")]
    assert await kinds(pool, cat) == []
    _, kind, fields = (await community.told(cat))[-1]
    assert (kind, fields["unread"]) == ("notification.removed", 0)


async def test_deleting_a_post_takes_everything_about_it_away(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob, cat = await community.members(["ann", "bob", "cat"])
    post, other = await community.post(ann, mentions=[cat]), await community.post(ann)
    comment = await community.comment(bob, post)
    await community.comment(cat, post, parent=comment)
    await community.react(bob, post, "heart")
    await community.comment(bob, other)
    await catch_up(notifier, community, pool)
    await community.delete_post(post)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("comment", "bob")]
    assert await kinds(pool, bob) == []
    assert await kinds(pool, cat) == []


async def test_more_lines_than_one_event_says_go_with_their_post(
    community: Community, notifier: Notifier, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "AT_ONCE", 2)
    ann, *others = await community.members(["ann", "bob", "cat", "dee", "eve", "fay"])
    post = await community.post(ann)
    for member in others:
        await community.react(member, post, "heart")
    await catch_up(notifier, community, pool)
    lines = {str(row["id"]) for row in await pool.fetch("select id from notify.notification")}
    assert len(lines) == len(others) == 5
    await community.delete_post(post)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == []
    told = await pool.fetch(
        "select convert_from(payload, 'UTF8')::jsonb as said from eventlog.event "
        "where type = 'notification.removed' order by id"
    )
    said = [msgspec.json.decode(row["said"]) for row in told]
    assert sorted(len(each["ids"]) for each in said) == [1, 2, 2]
    assert {line for each in said for line in each["ids"]} == lines
    assert {each["unread"] for each in said} == {0}


async def test_what_is_deleted_before_it_was_handled_tells_nobody(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.delete_comment(await community.comment(bob, post))
    await community.comment(bob, post)
    await community.react(bob, post, "heart")
    await community.delete_post(post)
    await catch_up(notifier, community, pool)
    assert await community.told(ann) == []


async def test_somebody_who_is_no_member_is_passed_over(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    nobody = type(bob)(new_id(), "nobody")
    await community.post(ann, mentions=[nobody, bob])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("mention", "ann")]
    assert await pool.fetchval("select count(*) from notify.notification") == 1


async def test_types_from_another_release_are_passed_over(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.append_raw("7", "poll.closed", b'{"poll":1}')
    await community.append_raw("x", "topic.reloaded", b'{"slug":"x"}')
    await community.post(ann, mentions=[bob])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, bob) == [("mention", "ann")]
    assert await pool.fetchval("select count(*) from notify.dead_letter") == 0


def test_precedence_holds_whatever_the_order_of_the_text() -> None:
    written = Written(post_id=1, comment_id=2, parent=3, actor=9, mentions=(5, 9), answers=True, at=datetime.now(UTC))
    told = notices_of(written, Authors(posts={1: 5}, comments={3: 5}))
    assert [(notice.recipient, notice.kind) for notice in told] == [(5, "mention")]
    told = notices_of(written, Authors(posts={1: 4}, comments={3: 4}))
    assert [(notice.recipient, notice.kind) for notice in told] == [(4, "reply"), (5, "mention")]


async def test_the_sequencer_is_woken_once_what_was_told_can_be_seen(community: Community, pool: Pool) -> None:
    seen: list[asyncio.Task[int]] = []

    def wake() -> None:
        seen.append(asyncio.ensure_future(pool.fetchval("select count(*) from notify.notification")))

    ann, bob = await community.members(["ann", "bob"])
    await community.comment(bob, await community.post(ann))
    await catch_up(Notifier(pool, wake=wake), community, pool)
    assert await asyncio.gather(*seen) == [1]
