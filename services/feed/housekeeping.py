"""What is kept for a while and then forgotten: answers to Idempotency-Keys, and sessions that have ended."""

import asyncio
from datetime import timedelta

import asyncpg

from services.feed.idempotency import KEPT
from services.feed.queries import QUERIES
from services.feed.rows import now
from shared.errors import Busy
from shared.postgres import Pool, acquire
from shared.telemetry import get_logger

log = get_logger(__name__)

_EVERY = 3600.0


class Housekeeping:
    """Forgets once an hour, beginning an hour after the start; any number of processes may."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def forget(self) -> None:
        """Everything past its time is gone."""
        async with acquire(self._pool) as connection:
            await QUERIES.forget_answers(connection, before=now() - timedelta(seconds=KEPT))
            await QUERIES.forget_ended_sessions(connection, before=now() - timedelta(days=1))

    async def run(self) -> None:
        """Until cancelled. What Postgres refuses is logged, and done the next time."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                await self.forget()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, Busy) as error:
                log.warning("housekeeping_failed", cause=repr(error))
