"""Who is asking notify, and whether their session stands: one query and one rule, for HTTP and for the socket.

Tokens are read without the feed; what became of their session stands in `feed_v1.session`, and from a live connection's
start on in the log (`session.revoked`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from shared import clock
from shared.auth import Principal, verify
from shared.errors import NotSignedIn
from shared.postgres import Pool, acquire, load_queries, retrying

queries = load_queries(Path(__file__).parent / "sql" / "identity.sql")

Standing = Literal["stands", "revoked", "over", "unknown"]


class Known(msgspec.Struct, frozen=True):
    """A session as the feed tells of it."""

    account_id: int
    expires_at: datetime
    revoked: bool


async def known_sessions(pool: Pool, ids: Iterable[int]) -> dict[int, Known]:
    """Those of these sessions that exist, by id. Raises Busy when Postgres is not to be had."""
    wanted = list(ids)

    async def attempt() -> list[Any]:
        async with acquire(pool) as connection:
            return [row async for row in queries.sessions_known(connection, ids=wanted)]

    rows = await retrying(attempt)
    return {row["id"]: Known(row["account_id"], row["expires_at"], row["revoked"]) for row in rows}


def standing(principal: Principal, known: Mapping[int, Known], now: datetime) -> Standing:
    """What has become of the session that a token speaks of; another account's is as good as none."""
    found = known.get(principal.session_id)
    if found is None or found.account_id != principal.account_id:
        return "unknown"
    if found.revoked:
        return "revoked"
    return "stands" if found.expires_at > now else "over"


async def authenticate(pool: Pool, secret: str, token: str) -> Principal:
    """The member whose bearer token or ticket this is.

    Raises NotSignedIn, with the same words for every fault: a bad or ended token, a session that is revoked, over, or
    not there. Raises Busy when Postgres is not to be had.
    """
    principal = verify(secret, token, kinds=("access", "ticket"))
    known = await known_sessions(pool, [principal.session_id])
    if standing(principal, known, clock.now()) != "stands":
        raise NotSignedIn("The credentials are not valid or have ended.")
    return principal
