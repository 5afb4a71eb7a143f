"""What is remembered of lines that went is forgotten in time, a bounded part at once."""

from datetime import UTC, datetime, timedelta

from services.notify.inbox.housekeeping import KEPT, forget_departed, forget_removed
from services.notify.inbox.inbox import mark_read
from services.notify.inbox.notifier import Notifier
from shared.events import PostCreated, encode_payload
from shared.postgres import Pool
from tests.notify.inbox.community import Community
from tests.notify.inbox.driving import catch_up, inbox


async def test_ids_that_went_are_remembered_for_a_while_and_then_forgotten(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    comments = [await community.comment(bob, post) for _ in range(5)]
    await catch_up(notifier, community, pool)
    lines = [int(line.id) for line in (await inbox(pool, ann)).items]
    for comment in comments:
        await community.delete_comment(comment)
    await catch_up(notifier, community, pool)
    await forget_removed(pool)
    assert (await mark_read(pool, ann.id, lines[2]))[0].up_to == str(lines[2])
    assert await pool.fetchval("select count(*) from notify.removed") == 5
    old = datetime.now(UTC) - KEPT - timedelta(hours=1)
    await pool.execute("update notify.removed set removed_at = $1 where id <> $2", old, lines[2])
    await forget_removed(pool, at_once=2)
    assert [row["id"] for row in await pool.fetch("select id from notify.removed")] == [lines[2]]


async def test_what_was_parked_of_those_who_left_goes_and_nobody_elses(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    for author in (ann, bob):
        post = await community.post(author)
        poisoned = encode_payload(PostCreated(post=post)).replace(b'"entities":[]', b'"entities":7')
        await community.append_raw("poison", "post.created", poisoned)
    await catch_up(notifier, community, pool)
    assert await pool.fetchval("select count(*) from notify.dead_letter") == 2
    await forget_departed(pool)
    assert await pool.fetchval("select count(*) from notify.dead_letter") == 2
    await community.direct.execute("update feed.account set deleted_at = now() where id = $1", ann.id)
    await forget_departed(pool)
    [left] = await pool.fetch("select payload from notify.dead_letter")
    assert f'"author":{{"id":"{bob.id}"'.encode() in left["payload"]
