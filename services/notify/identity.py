"""Who is asking notify over HTTP. The socket asks in batches, by the same rule: `live/credentials.py`.

Tokens are read without the feed; whether their session was revoked stands in `feed_v1.session`, and from a live
connection's start on in the log (`session.revoked`).
"""

from datetime import UTC, datetime
from pathlib import Path

from shared.auth import Principal, verify
from shared.errors import NotSignedIn
from shared.postgres import Pool, acquire, load_queries

queries = load_queries(Path(__file__).parent / "sql" / "identity.sql")


async def authenticate(pool: Pool, secret: str, token: str) -> Principal:
    """The member whose bearer token or ticket this is.

    Raises NotSignedIn, with the same words for every fault: a bad or ended token, a session that is revoked, over, or
    not there. Raises Busy when Postgres is not to be had.
    """
    principal = verify(secret, token, kinds=("access", "ticket"))
    async with acquire(pool) as connection:
        stands = await queries.session_stands(
            connection,
            session=principal.session_id,
            account=principal.account_id,
            now=datetime.now(UTC),
        )
    if not stands:
        raise NotSignedIn("The credentials are not valid or have ended.")
    return principal
