"""Promises about inboxes whose loss no other test would notice: found by mutants."""

from services.notify.inbox.notifier import Notifier
from shared import faults
from shared.postgres import Pool
from tests.notify.inbox.community import Community
from tests.notify.inbox.driving import catch_up, kinds


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


async def test_what_was_handled_is_passed_over_though_its_line_is_gone(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=[bob])
    await catch_up(notifier, community, pool)
    entries = await community.entries(0, 0)
    await pool.execute("delete from notify.notification")
    assert await notifier.handle(0, entries, 1)
    assert await pool.fetchval("select count(*) from notify.notification") == 0
