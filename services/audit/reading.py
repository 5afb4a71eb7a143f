"""How an audit reads: page by page, each page in a read-only transaction of one snapshot, held for that page alone.

Not one snapshot for all: it would be open as long as the audit runs, and keep every old row of a busy community until
then, and each day that retention wants to drop. What has to agree is written in one transaction, so it is read in one.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from shared.postgres import Connection

PATIENT = 3600.0
"""Seconds that one statement may take: a day of the log is joined with its numbers in one."""


class Page(NamedTuple):
    """Keys in (after, last]; `looked`: how many rows have one."""

    after: Any
    last: Any
    looked: int


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """Every statement of the block sees the same moment, and can write nothing.

    The log's days neither come nor go meanwhile: to a snapshot from before, a day that was moved since is empty.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("lock table only eventlog.event, only eventlog.entry in access share mode")
        await connection.execute("set local statement_timeout = 0")
        yield


async def pages(
    connection: Connection, edge: Callable[..., Awaitable[Any]], size: int, start: Any = 0
) -> AsyncGenerator[Page, None]:
    """Pages of a table by its key, each in a snapshot that lasts while the caller works on it. `edge` is a named query
    (after, page) that gives the page's last key and its number of rows. Who goes on after an error closes it first."""
    after = start
    while True:
        async with snapshot(connection):
            found = await edge(connection, after=after, page=size)
            if not found["looked"]:
                return
            yield Page(after, found["last"], found["looked"])
        after = found["last"]
