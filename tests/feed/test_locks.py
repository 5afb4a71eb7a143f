"""Locks are taken in one order everywhere, and what Postgres rolls back through no fault of ours is done again."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from services.feed.granting import Roles
from shared.errors import Busy
from shared.postgres import Pool, open_pool, retrying, transaction
from tests.feed.community import Community, made
from tests.feed.test_turns import waiting
from tests.servers import Database

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def other(feed_database: Database) -> AsyncIterator[Session]:
    """A session that looks at locks while another one holds some."""
    session = await asyncpg.connect(feed_database.url_direct)
    yield session
    await session.close()


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """A pool on two rows that everybody wants, each with what it was added."""
    pool = await open_pool(database.url_direct, application_name="locks", max_size=4)
    await pool.execute("create table public.place (id int primary key, n int); insert into place values (1, 0), (2, 0)")
    yield pool
    await pool.close()


async def blocked(other: Session) -> None:
    """Somebody waits for a row's lock."""
    async with asyncio.timeout(20):
        while not await waiting(other):  # noqa: ASYNC110 - Postgres tells nobody
            await asyncio.sleep(0.01)


async def free(other: Session, rows: str) -> list[object]:
    """Which of these rows nobody has locked."""
    return [row[0] for row in await other.fetch(f"select {rows} for update skip locked")]


async def test_topics_are_locked_in_the_order_of_their_slugs(community: Community, other: Session) -> None:
    ada = await community.member()
    await ada.post("#birch")  # first of the two in the table and in the text
    await ada.post("#ash")
    async with community.owner.transaction():
        await community.owner.execute("select from feed.topic_count where slug = 'birch' for update")
        posting = asyncio.create_task(ada.call("POST", "/v1/posts", {"body": "#birch #ash"}))
        await blocked(other)
        assert await free(other, "slug from feed.topic_count") == [], "who waits for the second holds the first"
    made(await posting)


async def test_topics_are_locked_before_their_posts(community: Community, other: Session) -> None:
    ada = await community.member()
    post = await ada.post("#ash")
    async with community.owner.transaction():
        await community.owner.execute("select from feed.topic_count where slug = 'ash' for update")
        change = {"version": 1, "body": "no tree"}
        editing = asyncio.create_task(ada.call("PATCH", f"/v1/posts/{post['id']}", change))
        await blocked(other)
        assert await free(other, "id from feed.post") == [int(post["id"])]
    assert (await editing).status_code == 200


async def test_a_post_is_locked_before_its_comments(community: Community, other: Session) -> None:
    ada = await community.member()
    post = await ada.post("x")
    comment = await ada.comment(post, "y")
    async with community.owner.transaction():
        await community.owner.execute("select from feed.post where id = $1 for update", int(post["id"]))
        answering = asyncio.create_task(ada.comment(post, "z", comment))
        await blocked(other)
        assert await free(other, "comment_id from feed.comment_count") == [int(comment["id"])]
    await answering


async def test_accounts_are_locked_in_the_order_of_their_ids(
    community: Community, other: Session, feed_database: Database
) -> None:
    first, second = await community.member(), await community.member()
    for member in (second, first):  # so that the second is the first of the two in the table
        await community.give(member, "admin")
    pool = await open_pool(feed_database.url_feed, application_name="roles", max_size=2)
    async with community.owner.transaction():
        await community.owner.execute("select from feed.account where id = $1 for update", int(second.id))
        giving = asyncio.create_task(Roles(pool).give(first.handle, "author", operator="a test"))
        await blocked(other)
        assert await free(other, "id from feed.account") == [], "who waits for the second holds the first"
    await giving
    await pool.close()


async def test_two_who_deadlock_both_come_through(pool: Pool) -> None:
    met, tries = asyncio.Barrier(2), 0

    async def cross(here: int, there: int) -> None:
        new = True

        async def attempt() -> None:
            nonlocal new, tries
            tries += 1
            async with transaction(pool) as connection:
                await connection.execute("update place set n = n + 1 where id = $1", here)
                if new:
                    new = False
                    await met.wait()
                await connection.execute("update place set n = n + 1 where id = $1", there)

        await retrying(attempt)

    async with asyncio.timeout(30):
        await asyncio.gather(cross(1, 2), cross(2, 1))
    assert [row[0] for row in await pool.fetch("select n from place")] == [2, 2]
    assert tries > 2, "they did not meet"


async def test_what_could_not_be_serialized_is_done_again_on_what_is_there_then(pool: Pool) -> None:
    seen: list[int] = []

    async def attempt() -> None:
        async with transaction(pool, isolation="repeatable_read") as connection:
            seen.append(await connection.fetchval("select n from place where id = 1"))
            if len(seen) == 1:
                await pool.execute("update place set n = 5 where id = 1")
            await connection.execute("update place set n = $1 where id = 1", seen[-1] + 1)

    await retrying(attempt)
    assert seen == [0, 5]
    assert await pool.fetchval("select n from place where id = 1") == 6


RAISE = "do $$ begin raise exception using errcode = '{}', message = 'as if'; end $$"


async def test_what_was_just_replaced_is_looked_for_again(pool: Pool) -> None:
    """A restore drops and makes everything anew while requests read: what they find gone is there a moment later.

    `chorus torture`, seed x2: "relation does not exist", for who looked up the schema before the commit and the table
    after it; a 500 of seed long-2 was most likely the same."""
    tries = 0

    async def attempt() -> object:
        nonlocal tries
        tries += 1
        if tries == 1:
            return await pool.fetchval("select n from public.anew")
        if tries == 2:
            return await pool.execute(RAISE.format("XX000"))
        return await pool.fetchval("select n from public.place where id = 1")

    assert await retrying(attempt) == 0
    assert tries == 3


async def test_a_statement_that_was_prepared_for_another_table_is_prepared_anew(database: Database, pool: Pool) -> None:
    """In a transaction asyncpg can't do that by itself. A restore gives every type another number, too."""
    tries = 0

    async def attempt() -> int:
        nonlocal tries
        tries += 1
        async with transaction(one) as connection:
            return len(await connection.fetchrow("select * from public.place where id = 1"))

    one = await open_pool(database.url_direct, application_name="one", max_size=1)
    assert await retrying(attempt) == 2
    await pool.execute("alter table public.place add column m int")
    assert await retrying(attempt) == 3
    assert tries == 3
    await one.close()


async def test_what_stays_gone_is_a_broken_assumption(pool: Pool) -> None:
    async def attempt() -> None:
        await pool.fetchval("select n from public.nowhere")

    with pytest.raises(asyncpg.UndefinedTableError):
        await retrying(attempt)


@pytest.mark.parametrize("code", ["53100", "53200", "57P02", "57P05", "58030", "25P03", "25P04"])
async def test_a_server_in_trouble_is_busy_and_nothing_is_tried_twice(pool: Pool, code: str) -> None:
    tries = 0

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        await pool.execute(RAISE.format(code))

    with pytest.raises(Busy):
        await retrying(attempt)
    assert tries == 1
