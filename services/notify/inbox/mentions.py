"""Mentions come and go with edits: which ones stand is what the feed shows now, not what an event said.

So an edit tells those it brings in and takes back what it takes out, in whatever order events are handled or replayed.
"""

from collections.abc import Iterable, Sequence

import msgspec

from services.notify.inbox.inbox import queries, rows_of
from services.notify.inbox.recipients import Meaning, Written
from shared.postgres import Connection

Target = tuple[int, int | None]
"""A post, or (with the second) a comment below it."""
Line = tuple[int, int]
"""A line of an inbox, as (member, id)."""


async def as_they_stand(connection: Connection, meanings: Sequence[Meaning]) -> list[Meaning]:
    """The same, where nobody is mentioned but those who are still."""
    present = await mentioned_now(
        connection, {(m.post_id, m.comment_id) for m in meanings if isinstance(m, Written) and m.mentions}
    )

    def now(meaning: Meaning) -> Meaning:
        if not isinstance(meaning, Written) or not meaning.mentions:
            return meaning
        still = present[meaning.post_id, meaning.comment_id]
        return msgspec.structs.replace(meaning, mentions=tuple(who for who in meaning.mentions if who in still))

    return [now(meaning) for meaning in meanings]


async def mentioned_now(connection: Connection, targets: Iterable[Target]) -> dict[Target, set[int]]:
    """Whom each of these mentions now; nobody where it is gone."""
    found: dict[Target, set[int]] = {target: set() for target in targets}
    posts, comments = _ids(found)
    rows = await rows_of(queries.mentions(connection, posts=posts, comments=comments)) if found else []
    return found | {(row["post_id"], row["comment_id"]): set(row["mentions"]) for row in rows}


async def taken_out(connection: Connection, targets: Iterable[Target]) -> dict[Target, list[Line]]:
    """Lines that tell of a mention which these have no more, for those that have such lines."""
    posts, comments = _ids(targets)
    found: dict[Target, list[Line]] = {}
    if posts or comments:
        for row in await rows_of(queries.taken_out(connection, posts=posts, comments=comments)):
            found.setdefault((row["post_id"], row["comment_id"]), []).append((row["account_id"], row["id"]))
    return found


def _ids(targets: Iterable[Target]) -> tuple[list[int], list[int]]:
    every = list(targets)
    posts = [post for post, comment in every if comment is None]
    return posts, [comment for _, comment in every if comment is not None]
