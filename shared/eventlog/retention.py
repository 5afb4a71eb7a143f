"""Days of the log come a week ahead and go when nobody needs them; nothing is ever deleted row by row.

Attaching and dropping a partition queue behind long writers, and everybody else queues behind them: so each try waits
only a moment for its lock, and is made again later.
"""

import asyncio
import datetime
import random

import asyncpg

from shared import clock
from shared.postgres import POSTGRES_AWAY, Pool, transaction
from shared.telemetry import get_logger

log_ = get_logger(__name__)

KEEP = datetime.timedelta(days=3)
"""How long entries are kept after they were numbered."""
AHEAD = 7
"""Days made in advance: the sequencer may stand still for a week before the default partition takes over."""
EVERY = 600.0
"""Seconds between two rounds; a day has many of them, so one that fails costs nothing."""
LOCK_TIMEOUT = "200ms"
"""How long writers may queue behind a try of ours."""
TRIES = 5

_ONE_AT_A_TIME = 4703
_FORGET_TICKS = """DELETE FROM eventlog.tick t USING eventlog.head h
WHERE t.log = h.log AND t.seq < h.seq AND t.at < now() - interval '10 minutes'"""


async def run(pool: Pool, *, keep: datetime.timedelta = KEEP) -> None:
    """A round every ten minutes, until cancelled. What Postgres refuses is logged, and tried again."""
    while True:
        try:
            await keep_days(pool, now=clock.now(), keep=keep)
        except POSTGRES_AWAY as error:
            log_.warning("retention_failed", error=repr(error))
        await asyncio.sleep(EVERY)


async def keep_days(pool: Pool, *, now: datetime.datetime, keep: datetime.timedelta) -> list[datetime.date]:
    """One round as of `now`: the coming days exist, and days that nobody needs are gone. Returns those dropped.

    Raises asyncpg.LockNotAvailableError when no try got its lock.
    """
    await pool.execute(_FORGET_TICKS)
    today = now.astimezone(datetime.UTC).date()
    for ahead in range(AHEAD + 1):
        await _try(pool, "SELECT eventlog.make_day($1)", today + datetime.timedelta(days=ahead))
    dropped = []
    for row in await pool.fetch("SELECT day FROM eventlog.days() day"):
        ended = datetime.datetime.combine(row["day"], datetime.time(), datetime.UTC) + datetime.timedelta(days=1)
        if ended > now - keep:
            break
        reason = await _try(pool, "SELECT eventlog.drop_day($1, $2)", row["day"], now - keep)
        if reason is None:
            dropped.append(row["day"])
            log_.info("day_dropped", day=str(row["day"]))
        else:
            log_.warning("day_still_needed", day=str(row["day"]), reason=reason)
    return dropped


async def _try(pool: Pool, statement: str, *arguments: object) -> object:
    for left in range(TRIES - 1, -1, -1):
        try:
            async with transaction(pool) as connection:
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _ONE_AT_A_TIME)
                return await connection.fetchval(statement, *arguments)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if not left:
                raise
        await asyncio.sleep(random.uniform(0.5, 2))  # noqa: S311 - spreads, hides nothing
    raise AssertionError("unreachable")
