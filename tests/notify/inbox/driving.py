"""Drives a notifier by hand: everything that was committed gets numbered, handed over, and answered for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from services.notify.inbox.fanout import write_page
from services.notify.inbox.inbox import Page, queries, read_page
from services.notify.inbox.notifier import Notifier
from shared.postgres import Pool
from tests.notify.inbox.community import Community, Member


async def catch_up(notifier: Notifier, community: Community, pool: Pool, *, log: int = 0) -> None:
    """The notifier has handled everything that is committed now."""
    await community.number()
    async with pool.acquire() as connection:
        await queries.open_cursor(connection, log=log)
        cursor = await queries.read_cursor(connection, log=log)
    entries = await community.entries(log, cursor["seq"])
    if entries:
        assert await notifier.handle(log, entries, cursor["epoch"])


async def epoch(pool: Pool) -> int:
    """The log's present epoch."""
    found: int = await pool.fetchval("select epoch from eventlog.head where log = 0")
    return found


async def write_jobs(pool: Pool, *, size: int) -> int:
    """Writes every fan-out job that is due; how many pages there were."""
    pages = 0
    while await write_page(pool, size=size):
        pages += 1
    return pages


@asynccontextmanager
async def running(notifier: Notifier) -> AsyncIterator[None]:
    """The notifier runs by itself; what it raised comes out at the end."""
    run = asyncio.create_task(notifier.run())
    try:
        yield
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


async def until(holds: Callable[[], Awaitable[object]], *, within: float = 15) -> None:
    """Returns as soon as `holds` does; raises TimeoutError after `within` seconds."""
    async with asyncio.timeout(within):
        while not await holds():  # noqa: ASYNC110 - what is waited for happens in Postgres
            await asyncio.sleep(0.01)


async def inbox(pool: Pool, member: Member) -> Page:
    """The member's newest hundred lines."""
    return await read_page(pool, member.id, limit=100, before=None)


async def kinds(pool: Pool, member: Member) -> list[tuple[str, str]]:
    """The member's lines, newest first, as (kind, actor's handle); the count is checked on the way."""
    page = await inbox(pool, member)
    assert page.unread == sum(not line.read for line in page.items)
    return [(line.kind, line.actor.handle) for line in page.items]
