"""Reading the heads, for those who want nothing else of the log."""

from shared.eventlog.position import Cursor
from shared.postgres import Connection, Pool


async def head(connection: "Connection | Pool") -> Cursor:
    """The newest position of every log, in the caller's snapshot.

    In a transaction that reads rows too, make it REPEATABLE READ, or call `eventlog.head_cursor()` in the same statement.
    """
    return Cursor.from_json(await connection.fetchval("SELECT eventlog.head_cursor()"))
