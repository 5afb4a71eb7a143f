"""What the inbox remembers for a while only: ids of lines that were taken away, for
pages that still show them; and the inboxes of those who left, with words of theirs that were parked."""

import asyncio
from datetime import timedelta

from services.notify.inbox.inbox import queries
from shared import clock
from shared.postgres import POSTGRES_AWAY, Pool, acquire
from shared.telemetry import get_logger

log = get_logger(__name__)

KEPT = timedelta(days=30)
"""A page that shows a line for longer than this has long been told that it went."""
AT_ONCE = 5_000
"""Rows a statement, some 20 ms: whoever takes lines away at that moment does not wait."""
EVERY = 3600.0


async def run(pool: Pool) -> None:
    """Forgets once an hour until cancelled. What Postgres refuses is logged, and done the next time."""
    while True:
        try:
            await forget_removed(pool)
            await forget_departed(pool)
        except POSTGRES_AWAY as error:
            log.warning("housekeeping_failed", cause=repr(error))
        await asyncio.sleep(EVERY)


async def forget_departed(pool: Pool, *, at_once: int = AT_ONCE) -> None:
    """Nothing stands in the inboxes of those who left, and no dead letter holds what they wrote."""
    gone = at_once
    while gone == at_once:
        async with acquire(pool) as connection:
            gone = await queries.forget_departed(connection, most=at_once)
    async with acquire(pool) as connection:
        await queries.forget_departed_inboxes(connection)
        await queries.forget_departed_letters(connection)


async def forget_removed(pool: Pool, *, at_once: int = AT_ONCE) -> None:
    """No line that went more than KEPT ago is remembered."""
    before = clock.now() - KEPT
    forgotten = at_once
    while forgotten == at_once:
        async with acquire(pool) as connection:
            forgotten = await queries.forget_removed(connection, before=before, most=at_once)
