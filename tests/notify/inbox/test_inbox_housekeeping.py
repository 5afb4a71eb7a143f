"""What is remembered of lines that went is forgotten in time, a bounded part at once."""

from datetime import UTC, datetime, timedelta

from services.notify.inbox.housekeeping import KEPT, forget_removed
from services.notify.inbox.inbox import mark_read
from services.notify.inbox.notifier import Notifier
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
