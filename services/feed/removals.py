"""Photos' bytes go when no photo needs them any more: after the commit, by rows that outlive a crash.

Bytes are shared by whoever uploaded the same picture, so each removal looks again, alone with its digest, whether any
photo has it. Whoever is about to keep bytes holds them first: a hold is a removal that is due in a day.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.storage import Storage
from shared.postgres import Connection, Pool, acquire, transaction
from shared.telemetry import get_logger

log = get_logger(__name__)

HELD = timedelta(days=1)
"""For how long bytes wait for their photo, and photos for their post."""
TIMEOUT = 4.0
"""Seconds in which storage is told; what is under way then gets some five more (storage.py), and ends before the lock
on these bytes does: the transaction around it may stand idle for ten."""
LONGEST_WAIT = timedelta(hours=6)
_AT_ONCE = 100
"""Digests held by one statement: each is a lock, and Postgres has some thousands for everybody."""


async def hold(connection: Connection, digests: Sequence[str]) -> list[int]:
    """Nobody removes these bytes for a day, or until the holds that are returned are given up with `release`."""
    holds: list[int] = []
    for start in range(0, len(digests), _AT_ONCE):
        part = sorted(digests)[start : start + _AT_ONCE]
        holds += [row["id"] for row in await QUERIES.hold_photos(connection, digests=part, until=now() + HELD)]
    return holds


async def release(connection: Connection, holds: Sequence[int]) -> None:
    """Photos have these bytes, by the caller's transaction; those that none has may go once it commits."""
    await QUERIES.release_photos(connection, ids=holds, now=now())


class Removals:
    """Removes what is due; any number of processes may."""

    def __init__(self, pool: Pool, storage: Storage) -> None:
        self._pool = pool
        self._storage = storage

    async def work(self) -> None:
        """Uploads that no post took up in a day are gone, and bytes that nobody needs. Raises what Postgres does."""
        async with acquire(self._pool) as connection:
            await QUERIES.remove_unattached_media(connection, before=now() - HELD, now=now())
        while await self._remove_one():
            pass

    async def _remove_one(self) -> bool:
        """False when nothing is due. What storage refuses is tried again later, ever more rarely."""
        removal: asyncpg.Record | None = None
        try:
            async with transaction(self._pool) as connection:
                removal = await QUERIES.take_photo_removal(connection, now=now())
                if removal is None:
                    return False
                digest = removal["digest"]
                await QUERIES.lock_photo(connection, digest=digest)
                if not await QUERIES.photo_is_needed(connection, digest=digest, now=now()):
                    async with asyncio.timeout(TIMEOUT):
                        await self._storage.drop(digest)
                await QUERIES.drop_photo_removal(connection, id=removal["id"])
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            raise
        except Exception as error:
            if removal is None:
                raise
            await self._postpone(removal, error.__cause__ or error)
        return True

    async def _postpone(self, removal: asyncpg.Record, error: BaseException) -> None:
        wait = min(LONGEST_WAIT, timedelta(seconds=10 * 2 ** min(removal["attempts"], 20)))
        log.warning("photo_not_removed", digest=removal["digest"], attempts=removal["attempts"] + 1, cause=repr(error))
        async with acquire(self._pool) as connection:
            await QUERIES.postpone_photo_removal(
                connection, id=removal["id"], due_at=now() + wait, error=repr(error)[:2000]
            )
