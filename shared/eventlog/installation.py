"""Which installation this is, on which server it last ran, and the opening of epochs. One epoch for all logs."""

from typing import NamedTuple

import asyncpg

from shared.postgres import Pool
from shared.telemetry import get_logger

log_ = get_logger(__name__)


class ForeignRedis(Exception):
    """This Redis holds the log of another installation. Give CHORUS_REDIS_URL one of its own, or empty it."""


class LogsAreFixed(Exception):
    """The number of logs was fixed when the first event was appended. Set CHORUS_LOGS back."""


class Standing(NamedTuple):
    """What Postgres says of one log: its epoch, its head, and the oldest position still held."""

    epoch: int
    head: int
    floor: int


async def initialise(url: str, logs: int) -> None:
    """The database is one of `logs` logs; to be called after migrating, before anything is appended.

    Repeating it is fine. Raises LogsAreFixed when there are events and another number.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT eventlog.initialise($1)", logs)
    except asyncpg.PostgresError as error:
        if error.sqlstate == "CH002":
            raise LogsAreFixed(str(error)) from error
        raise
    finally:
        await connection.close()


async def standing(pool: Pool, log: int) -> Standing:
    """Read in one statement. Raises LookupError when there is no such log."""
    row = await pool.fetchrow(
        """SELECT h.epoch, h.seq, r.floor FROM eventlog.head h JOIN eventlog.retained r ON r.log = h.log
           WHERE h.log = $1""",
        log,
    )
    if row is None:
        raise LookupError(f"there is no log {log}")
    return Standing(*row)


async def install_id(pool: Pool) -> str:
    """The installation's own name; Redis bears it too."""
    return str(await pool.fetchval("SELECT id FROM eventlog.installation"))


async def what_changed(pool: Pool) -> str | None:
    """`system`, `database` or `timeline` when this is not the server of last time: history may be lost."""
    changed: str | None = await pool.fetchval("SELECT eventlog.recognise()")
    return changed


async def open_epoch(pool: Pool, *, expected: int | None, redis_epoch: int = 0, reason: str) -> int:
    """All heads are in a new epoch, which is returned; or in the one that somebody opened since `expected`.

    After a restore it waits for open writers, and numbers what had not been: no time limit.
    """
    async with pool.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        epoch: int = await connection.fetchval(
            "SELECT eventlog.open_epoch($1, $2, $3)", expected, redis_epoch, reason, timeout=3600
        )
    log_.warning("epoch_is_new", epoch=epoch, left=expected, redis_epoch=redis_epoch, reason=reason)
    return epoch
