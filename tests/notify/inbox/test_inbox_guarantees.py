"""Promises about inboxes whose loss no other test would notice: found by mutants."""

import asyncio

import pytest

from services.notify.inbox.notifier import Notifier
from shared import faults
from shared.errors import Busy
from shared.eventlog.tail import EpochChanged
from shared.postgres import Pool
from tests.notify.inbox.community import Community
from tests.notify.inbox.driving import catch_up, epoch, kinds, until, write_jobs

_WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


async def test_what_goes_while_the_inboxes_are_waited_for_tells_nobody(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann, mentions=[bob])
    went: list[str] = []

    async def delete_it(name: str) -> None:
        if name == "notifier:locked" and not went:
            went.append(name)
            await community.delete_post(post)

    faults.hold(lambda name, _log: delete_it(name))
    await catch_up(notifier, community, pool)
    assert went
    assert await kinds(pool, bob) == []
    assert await community.told(bob) == []


async def test_reading_waits_for_who_writes_into_the_inbox(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=[bob])
    await catch_up(notifier, community, pool)
    free: list[int] = []

    async def look(name: str) -> None:
        if name in ("notifier:locked", "notifier:announced"):
            free.append(len(await pool.fetch("select from notify.inbox for update skip locked")))

    faults.hold(lambda name, _log: look(name))
    await community.post(ann, mentions=[bob])
    await catch_up(notifier, community, pool)
    assert free == [0, 0]


async def test_inboxes_are_locked_in_the_order_of_their_members(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    first, second, ann = await community.members(["first", "second", "ann"])
    for member in (second, first):  # so that the second is the first of the two in the table
        await pool.execute("insert into notify.inbox (account_id) values ($1)", member.id)
    await community.post(ann, mentions=[first, second])
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("select from notify.inbox where account_id = $1 for update", second.id)
        telling = asyncio.create_task(catch_up(notifier, community, pool))
        await until(lambda: pool.fetchval(_WAITING))
        assert await pool.fetch("select from notify.inbox for update skip locked") == []
    await telling
    assert len(await kinds(pool, first)) == len(await kinds(pool, second)) == 1


async def test_what_was_handled_is_passed_over_though_its_line_is_gone(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=[bob])
    await catch_up(notifier, community, pool)
    entries = await community.entries(0, 0)
    await pool.execute("delete from notify.notification")
    assert await notifier.handle(0, entries, await epoch(pool))
    assert await pool.fetchval("select count(*) from notify.notification") == 0


async def test_what_was_read_before_a_restore_is_not_handled_after_it(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    """Found by `chorus torture`, seed c1: the cursor had passed over what came in the place of lost history."""
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=[bob])
    await catch_up(notifier, community, pool)
    await community.post(ann, mentions=[bob])
    await community.number()
    entries, read_in = await community.entries(0, 0), await epoch(pool)
    beyond = entries[-1]._replace(seq=entries[-1].seq + 1)
    with pytest.raises(Busy):
        await notifier.handle(0, [*entries, beyond], read_in)
    with pytest.raises(EpochChanged):
        await notifier.handle(0, entries, read_in - 1)
    assert await pool.fetchval("select count(*) from notify.notification") == 1
    assert await pool.fetchval("select count(*) from notify.dead_letter") == 0


async def test_a_batch_that_is_handled_again_adds_no_line(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post)
    await community.react(bob, post, "heart")
    await catch_up(notifier, community, pool)
    told = await kinds(pool, ann)
    await pool.execute("delete from notify.cursor")
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == told == [("reaction", "bob"), ("comment", "bob")]


async def test_a_crowd_whose_cause_goes_while_the_inboxes_are_waited_for_is_not_told(
    community: Community, pool: Pool
) -> None:
    ann, *crowd = await community.members(["ann", *(f"m{number}" for number in range(4))])
    post = await community.post(ann, mentions=crowd)
    await catch_up(Notifier(pool, page_above=2, page=2), community, pool)
    went: list[str] = []

    async def delete_it(name: str) -> None:
        if name == "notifier:locked" and not went:
            went.append(name)
            await community.delete_post(post)

    faults.hold(lambda name, _log: delete_it(name))
    assert await write_jobs(pool, size=2) == 1
    assert went
    assert all([await kinds(pool, member) == [] for member in crowd])
