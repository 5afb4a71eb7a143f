"""What is kept for a while and then goes: answers to Idempotency-Keys, ended sessions, letters, unneeded photos."""

import asyncio
from datetime import timedelta

from services.feed import letters
from services.feed.idempotency import KEPT
from services.feed.queries import QUERIES
from services.feed.removals import Removals
from services.feed.rows import now
from shared import clock
from shared.postgres import POSTGRES_AWAY, Pool, acquire
from shared.telemetry import get_logger

log = get_logger(__name__)

_EVERY = 10.0
"""Seconds between two looks at photos that may go: one statement each, by an index."""
_FORGET_EVERY = 3600.0


class Housekeeping:
    """Removes photos all the time, forgets once an hour, beginning an hour after the start; any number may."""

    def __init__(self, pool: Pool, removals: Removals) -> None:
        self._pool = pool
        self._removals = removals

    async def forget(self) -> None:
        """Everything past its time is gone."""
        async with acquire(self._pool) as connection:
            await QUERIES.forget_answers(connection, before=now() - timedelta(seconds=KEPT))
            await QUERIES.forget_ended_sessions(connection, before=now() - timedelta(days=1))
            await QUERIES.forget_held_handles(connection, now=now())
            await letters.forget(connection)

    async def run(self) -> None:
        """Until cancelled. What Postgres refuses is logged, and done the next time."""
        forgot_at = clock.monotonic()
        while True:
            try:
                await self._removals.work()
                if clock.monotonic() - forgot_at >= _FORGET_EVERY:
                    forgot_at = clock.monotonic()
                    await self.forget()
            except POSTGRES_AWAY as error:
                log.warning("housekeeping_failed", cause=repr(error))
            await asyncio.sleep(_EVERY)
