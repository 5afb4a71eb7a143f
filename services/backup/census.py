"""Counts what an installation holds, in one snapshot that pg_dump can share."""

from services.backup.manifest import Census
from services.reaching import revision
from shared.postgres import Connection

SCHEMAS = ("feed_v1", "feed", "notify", "eventlog")
"""Everything of ours; what else is in the database is left alone."""
REVISIONS = "public.migration"
"""Alembic's table, which can't be dumped beside schemas: its one row is in the manifest."""

_CENSUS = """SELECT (SELECT id::text FROM eventlog.installation) AS installation,
       (SELECT max(epoch) FROM eventlog.head) AS epoch,
       (SELECT array_agg(seq ORDER BY log) FROM eventlog.head) AS seq,
       (SELECT count(*) FROM feed.account) AS accounts,
       (SELECT count(*) FROM feed.post) AS posts,
       (SELECT count(*) FROM notify.notification) AS notifications"""


async def census(connection: Connection) -> Census | None:
    """What is here, as the connection's snapshot shows it; None where nothing was ever migrated."""
    if not (now := await revision(connection)):
        return None
    return Census(revision=now, **await connection.fetchrow(_CENSUS))


def is_empty(found: Census | None) -> bool:
    """Whether nobody would miss it: no accounts, no posts, and nothing in the log."""
    return found is None or not (found.accounts or found.posts or sum(found.seq))
