"""Comments: a thread below a post, oldest first; a deleted one keeps its place without its words.

Locks are taken in one order: the post with its counts, then the comment, then the counts of the comment answered.
"""

import asyncpg
import msgspec

from services.feed import idempotency, rows, text, words
from services.feed.idempotency import Answer, Key
from services.feed.paging import Oldest, Page, cursor
from services.feed.posts import Read, hot
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.sessions import Member
from services.feed.telling import tell, tell_one
from services.feed.turns import Turns
from shared import events
from shared.errors import Fault, Forbidden, Invalid, NotFound, Stale
from shared.eventlog.outbox import Draft
from shared.ids import id_time, new_id
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.visibility import may_change


class NewComment(msgspec.Struct, frozen=True, kw_only=True):
    """A comment as its author gives it, checked; `parent` is the comment it answers, None for the post itself."""

    body: str
    parent: int | None


class Comments:
    """Reads, makes, changes and deletes comments."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turns = Turns()

    async def page(self, post_id: int, viewer: int | None, after: Oldest | None, limit: int) -> Page:
        """A post's comments, oldest first, deleted ones in their places. Raises NotFound."""

        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = await QUERIES.list_comments(
                    connection, post_id=post_id, viewer=viewer, after=after.id if after else 0, page=limit + 1
                )
                return found

        found = await retrying(attempt)
        if not found[0]["post_stands"]:
            raise NotFound("There is no such post.")
        shown = [row for row in found if row["id"] is not None][:limit]
        return Page(
            items=[rows.with_mine(rows.comment(row), viewer, row["mine"]) for row in shown],
            next=cursor(Oldest(id=shown[-1]["id"])) if len(found) > limit else None,
            as_of=rows.as_of(found[0]),
        )

    async def read(self, comment_id: int, viewer: int | None) -> Read:
        """One comment. Raises NotFound."""

        async def attempt() -> Read:
            async with acquire(self._pool) as connection:
                return await read_for(connection, comment_id, viewer)

        return await retrying(attempt)

    async def create(self, member: Member, post_id: int, new: NewComment, key: Key | None) -> Answer:
        """A new comment and its answer, or the first answer of a request with this key.

        Raises NotFound, KeyReused, and Invalid for a parent that can't be answered.
        """

        async def attempt() -> Answer:
            async with self._turns.at(post_id), transaction(self._pool) as connection:
                return await _insert(connection, member, post_id, new, key)

        return await retrying(lambda: idempotency.answered(self._pool, member.id, key, attempt))

    async def change(self, comment_id: int, account_id: int, version: int, body: str) -> Read:
        """The comment with these words: one version on, unless it had them. Raises NotFound, Forbidden, Stale."""

        async def attempt() -> Read:
            async with transaction(self._pool) as connection:
                post_id = await post_of(connection, comment_id)
                if await QUERIES.share_post(connection, post_id=post_id) is None:
                    raise NotFound("There is no such comment.")
                comment = await _own(connection, comment_id, account_id)
                if comment["version"] != version:
                    raise Stale(f"It is at version {comment['version']} now.")
                if comment["body"] == body:
                    return await read_for(connection, comment_id, account_id)
                entities = rows.json_text(await words.resolve(connection, text.entities(body)))
                await QUERIES.update_comment(connection, comment_id=comment_id, body=body, entities=entities, now=now())
                row = await QUERIES.read_comment(connection, comment_id=comment_id, viewer=account_id)
                event = events.CommentEdited(comment=rows.comment(row))
                channels = events.comment_channels(str(post_id), str(account_id))
                await tell_one(connection, str(post_id), event, channels)
                return Read(body=rows.with_mine(event.comment, account_id, row["mine"]), as_of=rows.as_of(row))

        return await retrying(attempt)

    async def delete(self, comment_id: int, account_id: int) -> None:
        """The comment's words are gone. Raises NotFound, Forbidden."""

        async def attempt() -> None:
            async with transaction(self._pool) as connection:
                post_id = await post_of(connection, comment_id)
                post = await _hold_post(connection, post_id)
                comment = await _own(connection, comment_id, account_id)
                parent = comment["parent"]
                held = None if parent is None else await QUERIES.hold_comment_counts(connection, comment_id=parent)
                gone = await QUERIES.delete_comment(connection, comment_id=comment_id, now=now())
                event = events.CommentDeleted(comment_id=str(comment_id), post_id=str(post_id), version=gone["version"])
                drafts = [Draft(str(post_id), event, events.comment_channels(str(post_id), str(account_id)))]
                drafts.append(await _count_comment(connection, post_id, post, -1))
                if held is not None:
                    drafts.append(await _count_reply(connection, parent, held, -1))
                await tell(connection, drafts)

        await retrying(attempt)

    async def tell_again(self, comment_id: int) -> None:
        """The comment is told as it stands, one version on: its author is called otherwise. Raises NotFound."""

        async def attempt() -> None:
            async with transaction(self._pool) as connection:
                post_id = await post_of(connection, comment_id)
                standing = await QUERIES.share_post(connection, post_id=post_id)
                if standing is None or await QUERIES.rename_on_comment(connection, comment_id=comment_id) is None:
                    raise NotFound("There is no such comment.")
                row = await QUERIES.read_comment(connection, comment_id=comment_id, viewer=None)
                event = events.CommentEdited(comment=rows.comment(row))
                channels = events.comment_channels(str(post_id), event.comment.author.id)
                await tell_one(connection, str(post_id), event, channels)

        await retrying(attempt)


async def read_for(connection: Connection, comment_id: int, viewer: int | None) -> Read:
    """A comment as `viewer` sees it now. Raises NotFound."""
    row: asyncpg.Record | None = await QUERIES.read_comment(connection, comment_id=comment_id, viewer=viewer)
    if row is None:
        raise NotFound("There is no such comment.")
    return Read(body=rows.with_mine(rows.comment(row), viewer, row["mine"]), as_of=rows.as_of(row))


async def post_of(connection: Connection, comment_id: int) -> int:
    """Where a comment stands, for ever. Raises NotFound."""
    post_id: int | None = await QUERIES.post_of_comment(connection, comment_id=comment_id)
    if post_id is None:
        raise NotFound("There is no such comment.")
    return post_id


async def _insert(connection: Connection, member: Member, post_id: int, new: NewComment, key: Key | None) -> Answer:
    """The comment's rows and events. Raises idempotency.Used."""
    post = await _hold_post(connection, post_id)
    parent = None if new.parent is None else await _hold_parent(connection, new.parent, post_id)
    comment_id = new_id()
    entities = await words.resolve(connection, text.entities(new.body))
    await QUERIES.create_comment(
        connection,
        id=comment_id,
        post_id=post_id,
        parent=new.parent,
        author_id=member.id,
        body=new.body,
        entities=rows.json_text(entities),
        created_at=id_time(comment_id),
    )
    await QUERIES.create_comment_counts(connection, comment_id=comment_id)
    counted = [await _count_comment(connection, post_id, post, 1)]
    if parent is not None and new.parent is not None:
        counted.append(await _count_reply(connection, new.parent, parent, 1))
    row = await QUERIES.read_comment(connection, comment_id=comment_id, viewer=member.id)
    event = events.CommentCreated(comment=rows.comment(row))
    answer = Answer(status=201, body=rows.with_mine(event.comment, member.id, None), as_of=rows.as_of(row))
    await idempotency.claim(connection, member.id, key, answer, now())
    created = Draft(str(post_id), event, events.comment_channels(str(post_id), member.author.id))
    await tell(connection, [created, *counted])
    return answer


async def _hold_post(connection: Connection, post_id: int) -> asyncpg.Record:
    post: asyncpg.Record | None = await QUERIES.hold_post(connection, post_id=post_id)
    if post is None:
        raise NotFound("There is no such post.")
    return post


async def _hold_parent(connection: Connection, parent: int, post_id: int) -> asyncpg.Record:
    held: asyncpg.Record | None = await QUERIES.hold_comment(connection, comment_id=parent)
    if held is None or held["post_id"] != post_id:
        detail = "There is no such comment below this post."
        raise Invalid(errors=[Fault(field="parent", code="not_found", detail=detail)])
    return held


async def _own(connection: Connection, comment_id: int, account_id: int) -> asyncpg.Record:
    comment: asyncpg.Record | None = await QUERIES.lock_comment(connection, comment_id=comment_id)
    if comment is None:
        raise NotFound("There is no such comment.")
    if not may_change(account_id, comment["author_id"]):
        raise Forbidden("Only its author may change a comment.")
    return comment


async def _count_comment(connection: Connection, post_id: int, post: asyncpg.Record, by: int) -> Draft:
    """The post's counts, held by the caller, moved by one comment; and the event that tells of it."""
    comments = post["comments"] + by
    moved = await QUERIES.set_post_counts(
        connection,
        post_id=post_id,
        reactions=post["reactions"],
        reaction_total=post["reaction_total"],
        comments=comments,
        hot=hot(post["created_at"], post["reaction_total"], comments),
    )
    counts = msgspec.structs.replace(rows.counts(post), comments=comments, version=moved["version"])
    tagged = await QUERIES.topics_of_post(connection, post_id=post_id)
    channels = events.post_channels(str(post_id), str(post["author_id"]), [row["topic"] for row in tagged])
    return Draft(str(post_id), events.CountsChanged(post_id=str(post_id), counts=counts), channels)


async def _count_reply(connection: Connection, comment_id: int, held: asyncpg.Record, by: int) -> Draft:
    """The counts of the comment answered, held by the caller, moved by one reply; and the event that tells of it."""
    replies = held["replies"] + by
    moved = await QUERIES.set_comment_counts(
        connection,
        comment_id=comment_id,
        reactions=held["reactions"],
        reaction_total=held["reaction_total"],
        replies=replies,
    )
    counts = msgspec.structs.replace(rows.comment_counts(held), replies=replies, version=moved["version"])
    post_id = str(held["post_id"])
    event = events.CountsChanged(post_id=post_id, comment_id=str(comment_id), counts=counts)
    return Draft(post_id, event, events.comment_channels(post_id, str(held["author_id"])))
