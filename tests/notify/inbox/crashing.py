"""A notify process that is killed at a named point: `python -m tests.notify.inbox.crashing URL POINT`.

It handles what is pending, then every fan-out job, with small pages; SIGKILL at the point, exit 0 when it was not met.
"""

import asyncio
import sys

from services.notify.inbox.inbox import queries
from services.notify.inbox.notifier import Notifier
from shared import faults
from shared.eventlog.entries import read_range
from shared.postgres import open_pool
from tests.notify.inbox.driving import write_jobs

PAGE_ABOVE = 3
PAGE = 2


async def handle_pending(url: str) -> None:
    """Everything that is numbered is handled, and every job written."""
    pool = await open_pool(url, application_name="crashing", max_size=2)
    async with pool.acquire() as connection:
        await queries.open_cursor(connection, log=0)
        cursor = await queries.read_cursor(connection, log=0)
        entries = await read_range(connection, 0, cursor["seq"] + 1, 2**62, 1000)
    if entries:
        await Notifier(pool, page_above=PAGE_ABOVE).handle(0, entries, cursor["epoch"])
    await write_jobs(pool, size=PAGE)
    await pool.close()


def main() -> None:
    url, point = sys.argv[1:]
    faults.configure([f"{point}=kill"], "")
    asyncio.run(handle_pending(url))


if __name__ == "__main__":
    main()
