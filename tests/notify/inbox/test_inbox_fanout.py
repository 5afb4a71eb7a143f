"""Crowds: more recipients than one transaction should hold are written page by page, exactly once."""

import asyncpg
import pytest

from services.notify.inbox.dead_letters import replay
from services.notify.inbox.fanout import ATTEMPTS, write_page
from services.notify.inbox.notifier import Notifier
from shared import faults
from shared.postgres import Pool
from tests.notify.inbox.community import Community, Member
from tests.notify.inbox.driving import catch_up, inbox, kinds, write_jobs

CROWD = 7


@pytest.fixture
def notifier(pool: Pool) -> Notifier:
    """One that takes three recipients for a crowd."""
    return Notifier(pool, page_above=3, page=2)


@pytest.fixture
async def crowd(community: Community) -> list[Member]:
    return await community.members(f"m{number}" for number in range(CROWD))


async def test_a_crowd_is_left_to_a_job_and_told_page_by_page(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member]
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post, mentions=crowd)
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("comment", "bob")]
    assert all([await kinds(pool, member) == [] for member in crowd])
    assert await write_jobs(pool, size=2) == 4
    for member in crowd:
        assert await kinds(pool, member) == [("mention", "bob")]
        assert [fields for _, _, fields in await community.told(member)] == [{"kind": "mention"}]
    touches = [entry for entry in await community.entries(0, 0) if entry.type == "inbox.touched"]
    assert [len(entry.channels) for entry in touches] == [2, 2, 2, 1]
    assert await pool.fetchval("select count(*) from notify.fanout_job") == 0


async def test_a_job_stops_when_its_cause_stands_no_more(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member]
) -> None:
    ann = await community.member("ann")
    post = await community.post(ann, mentions=crowd)
    await catch_up(notifier, community, pool)
    assert await write_page(pool, size=2)
    await community.delete_post(post)
    assert await write_jobs(pool, size=2) == 1
    assert await pool.fetchval("select count(*) from notify.notification") == 2
    await catch_up(notifier, community, pool)
    assert await pool.fetchval("select count(*) from notify.notification") == 0
    assert all([(await inbox(pool, member)).unread == 0 for member in crowd])


async def test_an_edit_tells_a_crowd_only_once(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member]
) -> None:
    ann, late = await community.members(["ann", "late"])
    post = await community.post(ann, mentions=crowd)
    await community.edit_post(post, mentions=[*crowd, late])
    await catch_up(notifier, community, pool)
    await write_jobs(pool, size=100)
    for member in [*crowd, late]:
        assert await kinds(pool, member) == [("mention", "ann")]
        assert len(await community.told(member)) == 1


async def test_a_crowd_s_lines_are_taken_away_by_a_job_too(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member]
) -> None:
    ann = await community.member("ann")
    post = await community.post(ann, mentions=crowd)
    await catch_up(notifier, community, pool)
    await write_jobs(pool, size=100)
    await community.delete_post(post)
    await catch_up(notifier, community, pool)
    assert await write_jobs(pool, size=2) == 4
    assert all([(await inbox(pool, member)).unread == 0 for member in crowd])
    assert await pool.fetchval("select count(*) from notify.notification") == 0
    assert [fields["kind"] for _, _, fields in await community.told(crowd[0])] == ["mention", "removal"]


async def test_a_crowd_that_an_edit_takes_out_is_withdrawn_by_a_job(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member]
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    comment = await community.comment(bob, post, mentions=[ann, *crowd])
    await catch_up(notifier, community, pool)
    assert await write_page(pool, size=2), "the first of the crowd are told, and no more"
    kept = crowd[-1]
    await community.edit_comment(comment, mentions=[kept])
    await catch_up(notifier, community, pool)
    await write_jobs(pool, size=2)
    assert [await kinds(pool, member) for member in crowd[:-1]] == [[]] * (CROWD - 1)
    assert await kinds(pool, kept) == [("mention", "bob")]
    assert await kinds(pool, ann) == [("comment", "bob")]
    assert await pool.fetchval("select count(*) from notify.fanout_job") == 0


async def test_a_whole_crowd_is_withdrawn_page_by_page(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member]
) -> None:
    ann = await community.member("ann")
    post = await community.post(ann, mentions=crowd)
    await catch_up(notifier, community, pool)
    await write_jobs(pool, size=100)
    await community.edit_post(post, mentions=[])
    await catch_up(notifier, community, pool)
    assert await write_jobs(pool, size=2) == 4
    assert await pool.fetchval("select count(*) from notify.notification") == 0
    assert [fields["kind"] for _, _, fields in await community.told(crowd[0])] == ["mention", "withdrawal"]


async def test_a_job_that_always_fails_is_parked_and_can_be_taken_up(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member]
) -> None:
    ann = await community.member("ann")
    await community.post(ann, mentions=crowd)
    await catch_up(notifier, community, pool)
    assert await write_page(pool, size=2)
    third = (await pool.fetchrow("select recipients from notify.fanout_job"))["recipients"][2]
    await community.direct.execute(
        f"alter table notify.notification add constraint broken check (account_id <> {third})"
    )
    for _ in range(ATTEMPTS):
        assert await pool.fetchval("select count(*) from notify.dead_letter") == 0
        assert await write_page(pool, size=2)
        await pool.execute("update notify.fanout_job set due_at = due_at - interval '1 day'")
    assert not await write_page(pool, size=2)
    [letter] = await pool.fetch("select * from notify.dead_letter")
    assert (letter["log"], letter["type"]) == (-1, "fanout.mention")
    assert "broken" in letter["error"]
    assert await pool.fetchval("select count(*) from notify.fanout_job") == 0
    await community.direct.execute("alter table notify.notification drop constraint broken")
    assert (await replay(pool)).handled == 1
    assert await write_jobs(pool, size=100) == 1
    for member in crowd:
        assert await kinds(pool, member) == [("mention", "ann")]
        assert len(await community.told(member)) == 1
    assert await pool.fetchval("select count(*) from notify.dead_letter") == 0


async def test_a_page_that_fails_holds_up_no_other_job(
    community: Community, notifier: Notifier, pool: Pool, crowd: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=crowd)
    await catch_up(notifier, community, pool)
    failed: list[str] = []

    def fail_once(name: str, _log: int | None) -> None:
        if name == "fanout:page_written" and not failed:
            failed.append(name)
            raise asyncpg.DataError("this page is poisoned")

    faults.hold(fail_once)
    await community.post(bob, mentions=crowd)
    await catch_up(notifier, community, pool)
    assert await write_jobs(pool, size=100) == 2
    assert failed
    assert await kinds(pool, crowd[0]) == [("mention", "bob")]
    [job] = await pool.fetch("select attempts, error, done from notify.fanout_job")
    assert (job["attempts"], job["done"]) == (1, 0)
    assert "poisoned" in job["error"]
    await pool.execute("update notify.fanout_job set due_at = now()")
    assert await write_jobs(pool, size=100) == 1
    assert await kinds(pool, crowd[0]) == [("mention", "ann"), ("mention", "bob")]
