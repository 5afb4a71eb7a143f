"""The outbox: an event is appended in the transaction that it tells of, so it is published if and only if that commits.

Lock or update the entity's row first and append last: then, for one entity, event ids run in commit order.
Nothing here talks to Redis except `wake`, which may fail without anybody noticing but the clock.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.eventlog.stream import WAKE_CHANNEL
from shared.events import Event, encode_payload
from shared.postgres import Connection
from shared.telemetry import current_request

_APPEND = "SELECT eventlog.append($1, $2, $3, $4, $5)"
_APPEND_MANY = """
SELECT eventlog.append(key, type, string_to_array(channels, E'\\n'), payload, request_id)
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[])
    WITH ORDINALITY AS e (key, type, channels, payload, request_id, n)
ORDER BY n
"""


_IN_FRONT = frozenset({"type", "id", "at"})
"""What frames put before a payload: a payload with one of these would say it twice, and clients believe the last."""


class Draft(NamedTuple):
    """An event about to be appended; `key` chooses its log and orders it against others of the same key.

    `request_id` is what caused it; None: whatever request this task works for.
    """

    key: str
    event: Event
    channels: Sequence[str]
    request_id: str | None = None


async def append(
    connection: Connection, *, key: str, event: Event, channels: Sequence[str], request_id: str | None = None
) -> int:
    """Appends one event within the caller's transaction and returns its id; `request_id` as in Draft.

    Raises asyncpg.CheckViolationError when a channel is empty or holds a newline, and TypeError for an event whose
    fields are not its own to name.
    """
    _check(type(event))
    appended: int = await connection.fetchval(
        _APPEND, key, event.type, list(channels), encode_payload(event), request_id or current_request()
    )
    return appended


async def append_many(connection: Connection, drafts: Sequence[Draft]) -> list[int]:
    """Appends them in this order, in one round trip; returns their ids. Raises like `append`."""
    if not drafts:
        return []
    for draft in drafts:
        _check(type(draft.event))
        if any("\n" in channel for channel in draft.channels):
            raise ValueError("a channel holds a newline")
    asked = current_request()
    rows = await connection.fetch(
        _APPEND_MANY,
        [draft.key for draft in drafts],
        [draft.event.type for draft in drafts],
        ["\n".join(draft.channels) for draft in drafts],
        [encode_payload(draft.event) for draft in drafts],
        [draft.request_id or asked for draft in drafts],
    )
    return [row[0] for row in rows]


@cache
def _check(kind: type[Event]) -> None:
    """Once a type: having Postgres look into every payload costs 6 µs an event, to learn what never changes."""
    if taken := _IN_FRONT & set(kind.__struct_fields__):
        raise TypeError(f"{kind.__name__} has {', '.join(sorted(taken))} at the top, which the log puts there itself")


async def wake(redis: "Redis | None") -> None:
    """Tells the sequencer that something was committed. May be lost: it looks by itself every 25 ms.

    Give it a task of its own; a response never waits for it.
    """
    if redis is None:
        return
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(1):
            await redis.publish(WAKE_CHANNEL, b"")
