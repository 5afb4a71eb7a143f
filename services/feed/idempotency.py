"""Idempotency-Key: the first answer to a request is kept in the transaction that it answers.

So a request that is tried again after its answer got lost writes nothing twice, whatever died in between; and two that
run side by side wait for each other at the primary key. Keys belong to the member who sent them.
"""

import hashlib
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec

from services.feed.queries import QUERIES
from services.feed.rows import as_of
from shared.errors import ChorusError, Invalid, KeyReused, NotFound
from shared.postgres import Connection, Pool, acquire
from shared.wire import AsOf

KEPT = 86400
"""Seconds for which an answer is kept; a client that tries again gives up long before."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key, and the digest of the request that bears it."""

    key: str
    digest: bytes


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered: a status, a JSON body, and the positions it holds for. `replayed`: it was given before."""

    status: int
    body: bytes
    as_of: AsOf
    replayed: bool = False


class Used(ChorusError):
    """The key has been used: whoever is under way rolls back, and looks the first answer up."""

    code, status, retryable = "key_used", 500, False


def digest(method: str, path: str, body: bytes) -> bytes:
    """What makes two requests the same: method, path and the body's bytes."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).digest()


async def answered(pool: Pool, account_id: int, key: Key | None, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `attempt` answers, or the first answer of a request with this key.

    That goes for one which is refused now: what it names was taken by its first sending, or has gone since. Raises
    KeyReused, and what `attempt` raises.
    """
    try:
        return await attempt()
    except (Used, Invalid, NotFound) as refused:
        if key is None:
            raise
        async with acquire(pool) as connection:
            given = await first_answer(connection, account_id, key)
        if given is not None:
            return given
        if isinstance(refused, Used):
            raise asyncpg.SerializationError("the key's first request was forgotten meanwhile") from None
        raise


async def claim(connection: Connection, account_id: int, key: Key | None, answer: Answer, at: object) -> None:
    """Keeps `answer` under `key` in the caller's transaction. Raises Used when there is one already."""
    if key is None:
        return
    claimed = await QUERIES.claim_key(
        connection,
        account_id=account_id,
        key=key.key,
        digest=key.digest,
        status=answer.status,
        body=answer.body,
        created_at=at,
    )
    if claimed is None:
        raise Used


async def first_answer(connection: Connection, account_id: int, key: Key) -> Answer | None:
    """The answer given to the request that first bore `key`. Raises KeyReused when that was another request."""
    row: asyncpg.Record | None = await QUERIES.first_answer(connection, account_id=account_id, key=key.key)
    if row is None:
        return None
    if row["digest"] != key.digest:
        raise KeyReused
    return Answer(status=row["status"], body=row["body"], as_of=as_of(row), replayed=True)
