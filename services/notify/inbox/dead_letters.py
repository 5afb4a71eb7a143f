"""Events that could not be decoded or handled: parked with their error, so that the rest goes on, and done again later.

Only what is wrong with the event itself is parked. What is wrong with Postgres, with a lock or with our rights would
park everything: that is waited out.
"""

from typing import Any

import asyncpg
import msgspec
from prometheus_client import Counter

from services.notify.inbox.inbox import queries, rows_of
from services.notify.inbox.telling import requests_of, tell
from shared import clock
from shared.errors import Busy, ChorusError
from shared.eventlog.entries import Entry
from shared.eventlog.tail import EpochChanged
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.telemetry import get_logger

log = get_logger(__name__)

JOBS = -1
"""Stands for a log where a fan-out job is parked."""
PARKED = Counter("chorus_dead_letters_total", "Events that the notifier could not handle and parked.")

_OF_THE_EVENT = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters were handled, and how many failed again and stay."""

    handled: int
    failed: int


def is_of_the_event(error: Exception) -> bool:
    """Whether `error` comes from what the event says, so that waiting would not help."""
    if isinstance(error, Busy) and isinstance(error.__cause__, Exception):
        return isinstance(error.__cause__, ValueError)  # `retrying` takes an argument that fits no column for an outage
    if isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return isinstance(error, ValueError)
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, _OF_THE_EVENT)
    return not isinstance(error, (OSError, TimeoutError, ChorusError, MemoryError, EpochChanged))


async def park(connection: Connection, log_number: int, entry: Entry, error: Exception) -> None:
    """Keeps `entry` with its error; the cursor moves on in the same transaction."""
    PARKED.inc()
    cause = (await requests_of(connection, log_number, [entry])).get(entry.seq)
    log.error("event_parked", log=log_number, seq=entry.seq, type=entry.type, request_id=cause, exc_info=error)
    await queries.park(
        connection,
        log=log_number,
        seq=entry.seq,
        event_id=entry.event_id,
        type=entry.type,
        at=entry.at,
        payload=entry.payload,
        error=words_of(error),
        now=clock.now(),
    )


async def park_job(pool: Pool, job: Any, error: Exception) -> None:
    """Keeps a fan-out job that can't go on, with its error; unless another process took it up meanwhile."""
    PARKED.inc()
    about = {name: job[name] for name in ("kind", "done", "request_id")}
    log.error("fanout_parked", job=str(job["id"]), **about, exc_info=error)
    async with acquire(pool) as connection:
        await queries.park_job(
            connection,
            **{name: job[name] for name in ("id", "done", "attempts")},
            error=words_of(error),
            now=clock.now(),
        )


async def replay(pool: Pool, *, page_above: int = 100) -> Replayed:
    """Handles every dead letter once more, oldest first; what succeeds is dropped, the rest stays with its new error.

    Inboxes come out as if it had been handled in time: a cause is told once, and only while it stands. A fan-out job
    counts as handled when it is due again: its pages are written by those who write them all.
    """
    async with acquire(pool) as connection:
        keys = [(row["log"], row["seq"]) for row in await rows_of(queries.parked(connection))]
    handled = failed = 0
    for log_number, seq in keys:
        if log_number == JOBS:
            async with acquire(pool) as connection:
                await queries.take_up_job(connection, seq=seq, now=clock.now())
            handled += 1
            continue
        outcome = await _replay_one(pool, log_number, seq, page_above)
        handled += outcome is True
        failed += outcome is False
    return Replayed(handled=handled, failed=failed)


async def _replay_one(pool: Pool, log_number: int, seq: int, page_above: int) -> bool | None:
    """None when somebody else replays it, or has."""

    async def attempt() -> bool | None:
        async with transaction(pool) as connection:
            letter = await queries.take_parked(connection, log=log_number, seq=seq)
            if letter is None:
                return None
            entry = Entry(seq, letter["event_id"], letter["type"], letter["at"], (), letter["payload"])
            requests = await requests_of(connection, log_number, [entry])
            try:
                async with connection.transaction():
                    await tell(connection, [entry], requests, page_above=page_above)
            except Exception as error:
                if not is_of_the_event(error):
                    raise
                await park(connection, log_number, entry, error)
                return False
            await queries.drop_parked(connection, log=log_number, seq=seq)
            return True

    return await retrying(attempt)


def words_of(error: Exception) -> str:
    """The error in words that Postgres takes: no zero bytes, no lone surrogates."""
    words = f"{type(error).__name__}: {error}"[:2000].replace("\0", "\\0")
    return words.encode("utf-8", "backslashreplace").decode("utf-8")
