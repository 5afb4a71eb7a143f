"""Effects are exactly once and in order: killed anywhere, shared by several processes, or handed a poisoned event."""

import asyncio
import signal
import subprocess
import sys

import asyncpg
import pytest
from redis.asyncio import Redis

from services.notify.inbox import dead_letters
from services.notify.inbox.dead_letters import is_of_the_event, replay
from services.notify.inbox.inbox import mark_read, queries
from services.notify.inbox.notifier import Notifier
from services.notify.inbox.recipients import concerns_inboxes
from services.notify.inbox.telling import tell
from shared import faults
from shared.errors import Busy
from shared.postgres import Pool, open_pool
from tests.notify.inbox.community import Community, Member
from tests.notify.inbox.crashing import PAGE, PAGE_ABOVE
from tests.notify.inbox.driving import catch_up, epoch, inbox, kinds, running, until, write_jobs
from tests.servers import Database


async def told_everything_once(community: Community, pool: Pool, members: list[Member]) -> None:
    """Frames of each inbox add up to the inbox, no line was announced twice, and counts never jump."""
    for member in members:
        page = await inbox(pool, member)
        announced: list[str] = []
        for _, kind, fields in await community.told(member):
            if kind == "notification.changed":
                line = fields["notification"]
                assert isinstance(line, dict)
                announced.append(line["id"])
                assert fields["unread"] == len(announced)
        touched = any(kind == "inbox.touched" for _, kind, _ in await community.told(member))
        assert len(announced) == len(set(announced))
        assert touched or sorted(announced) == sorted(line.id for line in page.items)
        assert page.unread == len(page.items)


@pytest.mark.parametrize("point", [name for name in faults.NAMES if name.startswith(("notifier:", "fanout:"))])
async def test_a_kill_at_any_point_changes_nothing_but_the_time(
    community: Community, pool: Pool, database: Database, point: str
) -> None:
    ann, bob, *crowd = members = await community.members(["ann", "bob", *(f"m{n}" for n in range(5))])
    post = await community.post(ann)
    await community.comment(bob, post)
    await community.comment(bob, post, mentions=crowd)
    await community.react(bob, post, "heart")
    await community.number()
    command = [sys.executable, "-m", "tests.notify.inbox.crashing", database.url_notify, point]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL
    # Its locks go when Postgres notices that nobody is there.
    await until(lambda: pool.fetchval("select count(*) = 0 from pg_stat_activity where application_name = 'crashing'"))

    notifier = Notifier(pool, page_above=PAGE_ABOVE)
    await catch_up(notifier, community, pool)
    await write_jobs(pool, size=PAGE)
    assert await kinds(pool, ann) == [("reaction", "bob"), ("comment", "bob"), ("comment", "bob")]
    for member in crowd:
        assert await kinds(pool, member) == [("mention", "bob")]
    await told_everything_once(community, pool, members)
    touches = [kind for _, kind, _ in await community.told(crowd[0])]
    assert touches == ["inbox.touched"]
    # Handed over again from the beginning, nothing is told a second time.
    entries = await community.entries(0, 0)
    assert await notifier.handle(0, entries, await epoch(pool))
    await told_everything_once(community, pool, members)


async def test_a_cursor_that_was_lost_tells_nobody_twice(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post)
    await community.react(bob, post, "heart")
    await catch_up(notifier, community, pool)
    await pool.execute("delete from notify.cursor")
    await catch_up(notifier, community, pool)
    await told_everything_once(community, pool, [ann, bob])


async def test_two_notifiers_share_a_log_and_tell_everything_once(
    community: Community, pool: Pool, database: Database, redis_url: str
) -> None:
    ann, bob, cat = members = await community.members(["ann", "bob", "cat"])
    other_pool = await open_pool(database.url_notify, application_name="the other", max_size=4)
    redis = Redis.from_url(redis_url)  # empty: what it does not show is read from Postgres
    try:
        async with running(Notifier(pool, redis)), running(Notifier(other_pool)):
            post = await community.post(ann)
            for round_number in range(12):
                comment = await community.comment(bob if round_number % 2 else cat, post)
                await community.react(ann, comment, "joy")
                await community.number()
            await until(lambda: pool.fetchval("select count(*) = 24 from notify.notification"))
    finally:
        await redis.aclose()
        await other_pool.close()
    await told_everything_once(community, pool, members)
    lines = (await inbox(pool, ann)).items
    assert [line.actor.handle for line in lines] == ["bob", "cat"] * 6


async def test_four_logs_are_followed_side_by_side(community: Community, pool: Pool) -> None:
    await community.direct.execute("select eventlog.initialise(4)")
    ann, *others = members = await community.members(["ann", *(f"m{number}" for number in range(6))])
    async with running(Notifier(pool)):
        for member in others:
            post = await community.post(ann)
            await community.comment(member, post)
            await community.react(member, post, "heart")
            await community.delete_comment(await community.comment(member, post))
        await community.number()
        await until(lambda: pool.fetchval("select count(*) = 4 from notify.cursor"))
        await until(lambda: pool.fetchval("select count(*) = 12 from notify.notification"))
    used = {row["log"] for row in await community.direct.fetch("select distinct log from eventlog.entry")}
    assert len(used) > 1
    await told_everything_once(community, pool, members)


async def test_who_finds_a_log_led_by_another_leaves_it_alone(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=[bob])
    await community.number()
    async with pool.acquire() as leader, leader.transaction():
        await queries.open_cursor(leader, log=0)
    async with pool.acquire() as leader, leader.transaction():
        assert await queries.take_cursor(leader, log=0)
        assert not await notifier.handle(0, await community.entries(0, 0), await epoch(pool))
    assert await notifier.handle(0, await community.entries(0, 0), await epoch(pool))
    assert await kinds(pool, bob) == [("mention", "ann")]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("comment.created", b'{"comment":{"id":7}}'),
        ("comment.deleted", b'{"comment_id":"x","post_id":"1","version":1}'),
        ("mine.changed", b'{"account_id":"1","post_id":"99999999999999999999","comment_id":null,"reaction":null}'),
        ("post.deleted", b'{"post_id":"1\\u0000","version":1}'),
        ("post.created", b"{not json}"),
        ("post.edited", b'{"post":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    ],
)
async def test_a_poisoned_event_is_parked_and_the_rest_goes_on(
    community: Community, notifier: Notifier, pool: Pool, kind: str, payload: bytes
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post)
    await community.append_raw("poison", kind, payload)
    await community.comment(bob, post, mentions=[ann])
    await catch_up(notifier, community, pool)
    assert await kinds(pool, ann) == [("mention", "bob"), ("comment", "bob")]
    [letter] = await pool.fetch("select * from notify.dead_letter")
    assert (letter["type"], letter["payload"]) == (kind, payload)
    assert letter["error"]
    assert await pool.fetchval("select seq from notify.cursor") == 4
    assert (await replay(pool)).failed == 1
    await told_everything_once(community, pool, [ann, bob])


async def test_a_dead_letter_is_replayed_once_its_cause_is_mended(
    community: Community, notifier: Notifier, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await catch_up(notifier, community, pool)
    await pool.execute("insert into notify.inbox (account_id) values ($1)", ann.id)
    await community.direct.execute("alter table notify.notification add constraint broken check (kind <> 'comment')")
    await community.comment(bob, post)
    await community.comment(bob, post, mentions=[ann])
    parked = dead_letters.PARKED._value.get()
    await catch_up(notifier, community, pool)
    assert dead_letters.PARKED._value.get() == parked + 1
    assert await kinds(pool, ann) == [("mention", "bob")]
    await community.direct.execute("alter table notify.notification drop constraint broken")
    replayed = await replay(pool)
    assert (replayed.handled, replayed.failed) == (1, 0)
    assert await kinds(pool, ann) == [("comment", "bob"), ("mention", "bob")]
    assert (await replay(pool)).handled == 0
    await told_everything_once(community, pool, [ann, bob])


def test_an_outage_is_nobody_s_poison() -> None:
    for outage in (
        OSError(),
        TimeoutError(),
        Busy(),
        asyncpg.InterfaceError("closed"),
        asyncpg.InsufficientPrivilegeError("no"),
        asyncpg.DiskFullError("full"),
        asyncpg.UndefinedTableError("a migration is missing"),
    ):
        assert not is_of_the_event(outage), outage
    for poison in (ValueError(), KeyError(), RecursionError(), asyncpg.CheckViolationError("no")):
        assert is_of_the_event(poison), poison


async def test_an_outage_holds_the_log_and_parks_nothing(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=[bob])
    await catch_up(notifier, community, pool)
    await community.post(ann, mentions=[bob])
    await community.number()
    await community.direct.execute("revoke insert on notify.notification from chorus_notify")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await notifier.handle(0, await community.entries(0, 0), await epoch(pool))
    await community.direct.execute("grant insert on notify.notification to chorus_notify")
    assert len(await kinds(pool, bob)) == 1
    await catch_up(notifier, community, pool)
    assert len(await kinds(pool, bob)) == 2
    assert await pool.fetchval("select count(*) from notify.dead_letter") == 0


async def test_the_count_is_right_when_reading_and_telling_race(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    newest = int((await inbox(pool, ann)).items[0].id)
    for _ in range(5):
        await community.comment(bob, post)
    await asyncio.gather(catch_up(notifier, community, pool), mark_read(pool, ann.id, newest))
    page = await inbox(pool, ann)
    assert (page.unread, len(page.items)) == (5, 6)
    assert [line.read for line in page.items] == [False] * 5 + [True]


async def test_retention_waits_for_the_notifier(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann = await community.member("ann")
    async with pool.acquire() as connection:
        await queries.open_cursor(connection, log=0)
    waiting = "select seq from eventlog.consumer where name = 'notifier' and log = 0"
    assert await community.direct.fetchval(waiting) == 0
    await community.post(ann)
    await catch_up(notifier, community, pool)
    assert await community.direct.fetchval(waiting) == 1


async def test_a_new_epoch_goes_on_by_position(community: Community, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.post(ann, mentions=[bob])
    await community.number()
    async with running(Notifier(pool)):
        await until(lambda: pool.fetchval("select count(*) = 1 from notify.notification"))
        epoch = await community.direct.fetchval("select eventlog.open_epoch(null, 0, 'test')")
        await community.post(ann, mentions=[bob])
        await community.number()
        await until(lambda: pool.fetchval("select count(*) = 2 from notify.notification"))
    assert await pool.fetchval("select epoch from notify.cursor") == epoch
    await told_everything_once(community, pool, [ann, bob])


async def test_a_removal_waits_for_what_another_log_is_writing_about_the_post(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.react(bob, post, "heart")
    await community.number()
    async with pool.acquire() as other_log, pool.acquire() as watcher:
        async with other_log.transaction():
            await tell(other_log, await community.entries(0, 0), {}, page_above=100)
            await community.delete_post(post)
            removal = asyncio.create_task(catch_up(notifier, community, pool))
            waiting = "select true from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"
            await until(lambda: watcher.fetchval(waiting))
        await removal
    assert await kinds(pool, ann) == []
    await told_everything_once(community, pool, [bob])


async def test_posts_that_mention_nobody_cost_the_cursor_no_write_each(community: Community, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    posts = [await community.post(ann) for _ in range(3)]
    await community.post(ann, mentions=[bob])
    await community.number()
    entries = await community.entries(0, 0)
    concerning = [concerns_inboxes(entry.type, entry.payload, entry.at) for entry in entries]
    assert concerning == [False] * len(posts) + [True]
    assert concerns_inboxes("post.created", b"{}", entries[0].at), "what can't be read has to be parked"


async def test_the_cursor_passes_what_concerns_nobody_once_the_log_is_idle(community: Community, pool: Pool) -> None:
    (ann,) = await community.members(["ann"])
    async with running(Notifier(pool)):
        for _ in range(3):
            await community.post(ann)
            await community.number()
        behind = "select count(*) from eventlog.head h join notify.cursor c using (log) where c.seq < h.seq"
        await until(lambda: pool.fetchval(f"select ({behind}) = 0 and exists (select from notify.cursor)"))
