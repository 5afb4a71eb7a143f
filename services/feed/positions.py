"""The log's positions, for answers that bear no rows of their own."""

from services.feed.queries import QUERIES
from services.feed.rows import as_of
from shared.postgres import Pool, acquire, retrying
from shared.wire import AsOf


async def positions(pool: Pool) -> AsOf:
    """Where the log stands now."""

    async def attempt() -> AsOf:
        async with acquire(pool) as connection:
            return as_of(await QUERIES.positions(connection))

    return await retrying(attempt)
