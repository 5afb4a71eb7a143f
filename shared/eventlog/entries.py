"""One entry of the log as readers see it, and how it is read from Postgres.

`position` says where it stands, the other fields are the same bytes in Postgres and in the stream.
"""

from typing import Any, NamedTuple

import asyncpg

from shared.postgres import Connection, Pool

TOMBSTONE = "redacted"
"""The type of an entry whose words were removed; its channels and its place stay."""

_READ = "SELECT * FROM eventlog.read($1, $2, $3, $4)"


class Entry(NamedTuple):
    """`at` is ISO 8601 with Z as it goes on the wire; `payload` a JSON object without type, id and at."""

    seq: int
    event_id: int
    type: str
    at: str
    channels: tuple[str, ...]
    payload: bytes


def lines(channels: str) -> tuple[str, ...]:
    """Channels as a tuple, from how they are stored in the stream: one a line."""
    return tuple(channels.split("\n")) if channels else ()


async def read_rows(connection: "Connection | Pool", log: int, after: int, last: int, limit: int) -> list[Any]:
    """Rows (seq, epoch, event_id, type, at, channels, payload) in (after, last], oldest first, at most `limit`."""
    rows: list[asyncpg.Record] = await connection.fetch(_READ, log, after, last, limit)
    return rows


def entry_of(row: Any) -> Entry:
    """The entry in a row of `read_rows`."""
    seq, _, event_id, kind, at, channels, payload = row
    return Entry(seq, event_id, kind, at, lines(channels), payload)


async def read_range(pool: "Connection | Pool", log: int, first: int, last: int, limit: int) -> list[Entry]:
    """Entries first … last (both included) from Postgres, oldest first, at most `limit` of them.

    Starts above `first` when retention has taken that away: compare with `floor`.
    """
    return [entry_of(row) for row in await read_rows(pool, log, first - 1, last, limit)]


async def floor(pool: "Connection | Pool", log: int) -> int:
    """The oldest position that Postgres still holds; from there to the head nothing is missing."""
    held: int = await pool.fetchval("SELECT floor FROM eventlog.retained WHERE log = $1", log)
    return held
