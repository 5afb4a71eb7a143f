"""Reactions: a member's one reaction to a post or a comment is a state that is set, never a step that is counted.

Setting what is set already writes nothing and tells nobody. The counts' row is held first, so that members who react
at the same moment take turns, and each count that is told is exact.
"""

from services.feed import comments, posts, rows
from services.feed.posts import Read, hot
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.telling import tell
from services.feed.turns import Turns
from shared import events
from shared.errors import NotFound
from shared.eventlog.outbox import Draft
from shared.postgres import Connection, Pool, retrying, transaction
from shared.wire import CommentCounts, Counts


class Reactions:
    """Sets and withdraws reactions."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turns = Turns()

    async def to_post(self, post_id: int, account_id: int, kind: str | None) -> Read:
        """The post, with the member's reaction being `kind` (None: none). Raises NotFound."""

        async def attempt() -> Read:
            async with self._turns.at(post_id), transaction(self._pool) as connection:
                await _react_to_post(connection, post_id, account_id, kind)
                return await posts.read_for(connection, post_id, account_id)

        return await retrying(attempt)

    async def to_comment(self, comment_id: int, account_id: int, kind: str | None) -> Read:
        """The comment, with the member's reaction being `kind` (None: none). Raises NotFound."""

        async def attempt() -> Read:
            async with self._turns.at(comment_id), transaction(self._pool) as connection:
                await _react_to_comment(connection, comment_id, account_id, kind)
                return await comments.read_for(connection, comment_id, account_id)

        return await retrying(attempt)


async def _react_to_post(connection: Connection, post_id: int, account_id: int, kind: str | None) -> None:
    post = await QUERIES.hold_post(connection, post_id=post_id)
    if post is None:
        raise NotFound("There is no such post.")
    target = {"post_id": post_id, "account_id": account_id}
    before = await QUERIES.reaction_to_post(connection, **target)
    if before == kind:
        return
    if kind is None:
        await QUERIES.withdraw_reaction_to_post(connection, **target)
    else:
        await QUERIES.set_reaction_to_post(connection, **target, kind=kind, now=now())
    reactions = _moved(rows.counts(post), before, kind)
    total = sum(reactions.values())
    moved = await QUERIES.set_post_counts(
        connection,
        post_id=post_id,
        reactions=rows.json_text(reactions),
        reaction_total=total,
        comments=post["comments"],
        hot=hot(post["created_at"], total, post["comments"]),
    )
    counts = Counts(reactions=reactions, reaction_total=total, comments=post["comments"], version=moved["version"])
    tagged = await QUERIES.topics_of_post(connection, post_id=post_id)
    channels = events.post_channels(str(post_id), str(post["author_id"]), [row["topic"] for row in tagged])
    changed = Draft(str(post_id), events.CountsChanged(post_id=str(post_id), counts=counts), channels)
    await tell(connection, [changed, _mine(account_id, post_id, None, kind)])


async def _react_to_comment(connection: Connection, comment_id: int, account_id: int, kind: str | None) -> None:
    post_id = await comments.post_of(connection, comment_id)
    standing = await QUERIES.share_post(connection, post_id=post_id)
    comment = standing and await QUERIES.hold_comment(connection, comment_id=comment_id)
    if comment is None:
        raise NotFound("There is no such comment.")
    target = {"comment_id": comment_id, "account_id": account_id}
    before = await QUERIES.reaction_to_comment(connection, **target)
    if before == kind:
        return
    if kind is None:
        await QUERIES.withdraw_reaction_to_comment(connection, **target)
    else:
        await QUERIES.set_reaction_to_comment(connection, **target, kind=kind, now=now())
    reactions = _moved(rows.comment_counts(comment), before, kind)
    total, replies = sum(reactions.values()), comment["replies"]
    moved = await QUERIES.set_comment_counts(
        connection,
        comment_id=comment_id,
        reactions=rows.json_text(reactions),
        reaction_total=total,
        replies=replies,
    )
    counts = CommentCounts(reactions=reactions, reaction_total=total, replies=replies, version=moved["version"])
    event = events.CountsChanged(post_id=str(post_id), comment_id=str(comment_id), counts=counts)
    changed = Draft(str(post_id), event, events.comment_channels(str(post_id), str(comment["author_id"])))
    await tell(connection, [changed, _mine(account_id, post_id, comment_id, kind)])


def _moved(counts: Counts | CommentCounts, before: str | None, after: str | None) -> dict[str, int]:
    """How many of each kind there are once one member's reaction goes from `before` to `after`; no zeros."""
    moved = dict(counts.reactions)
    if before is not None:
        moved[before] = moved.get(before, 0) - 1
    if after is not None:
        moved[after] = moved.get(after, 0) + 1
    return {kind: number for kind, number in moved.items() if number}


def _mine(account_id: int, post_id: int, comment_id: int | None, kind: str | None) -> Draft:
    event = events.MineChanged(
        account_id=str(account_id),
        post_id=str(post_id),
        comment_id=None if comment_id is None else str(comment_id),
        reaction=kind,
    )
    return Draft(str(account_id), event, events.inbox_channels(str(account_id)))
