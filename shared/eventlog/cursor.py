"""Reading the heads, for those who want nothing else of the log."""

from shared.eventlog.position import Cursor
from shared.postgres import Connection, Pool


async def head(connection: "Connection | Pool") -> Cursor:
    """The newest position of every log, in the caller's snapshot.

    Beside rows of other statements it needs REPEATABLE READ; `eventlog.head_cursor()` in their own statement does not.
    """
    return Cursor.from_json(await connection.fetchval("SELECT eventlog.head_cursor()"))
