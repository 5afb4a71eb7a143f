"""A small community for the inbox's tests: it writes the feed's rows and events as the feed does, and numbers them.

The feed itself is not used: notify may not import it, and these tests need writes that it would never make.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import asyncpg
import msgspec

from shared import events
from shared.eventlog import outbox
from shared.eventlog.entries import Entry, read_range
from shared.ids import new_id
from shared.postgres import Connection, Pool, transaction
from shared.wire import Author, Comment, CommentCounts, Counts, Entity, Post, encode


class Member(msgspec.Struct, frozen=True):
    """Somebody who writes."""

    id: int
    handle: str

    @property
    def author(self) -> Author:
        return Author(id=str(self.id), handle=self.handle, display_name=self.handle.title())


class Community:
    """Writes as the feed's role; `number` and `entries` are what the sequencer and a tail would do."""

    def __init__(self, feed: Pool, direct: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.feed = feed
        self.direct = direct

    async def member(self, handle: str) -> Member:
        return (await self.members([handle]))[0]

    async def members(self, handles: Iterable[str]) -> list[Member]:
        made = [Member(new_id(), handle) for handle in handles]
        async with transaction(self.feed) as connection:
            await connection.executemany(
                "insert into feed.account (id, handle, display_name, created_at) values ($1, $2, $3, now())",
                [(member.id, member.handle, member.handle.title()) for member in made],
            )
        return made

    async def post(self, author: Member, *, mentions: Iterable[Member] = ()) -> Post:
        post = Post(
            id=str(new_id()),
            kind="post",
            author=author.author,
            title=None,
            body="hello",
            entities=_mentions(mentions),
            topics=[],
            media=[],
            content_warning=None,
            counts=Counts(reactions={}, reaction_total=0, comments=0, version=0),
            version=1,
            created_at=datetime.now(UTC),
            edited_at=None,
        )
        async with transaction(self.feed) as connection:
            await connection.execute(
                "insert into feed.post (id, author_id, body, entities, created_at) values ($1, $2, $3, $4, now())",
                int(post.id),
                author.id,
                post.body,
                _stored(post.entities),
            )
            await self._append(connection, post.id, events.PostCreated(post=post))
        return post

    async def edit_post(self, post: Post, *, mentions: Iterable[Member]) -> None:
        edited = msgspec.structs.replace(post, entities=_mentions(mentions), version=post.version + 1)
        async with transaction(self.feed) as connection:
            await connection.execute(
                "update feed.post set version = version + 1, entities = $2 where id = $1",
                int(post.id),
                _stored(edited.entities),
            )
            await self._append(connection, post.id, events.PostEdited(post=edited))

    async def delete_post(self, post: Post) -> None:
        async with transaction(self.feed) as connection:
            await connection.execute(
                "update feed.post set deleted_at = now(), entities = '[]' where id = $1", int(post.id)
            )
            await self._append(connection, post.id, events.PostDeleted(post_id=post.id, version=2))

    async def comment(
        self, author: Member, post: Post, *, parent: Comment | None = None, mentions: Iterable[Member] = ()
    ) -> Comment:
        comment = Comment(
            id=str(new_id()),
            post_id=post.id,
            parent=parent.id if parent else None,
            author=author.author,
            body="well said",
            entities=_mentions(mentions),
            counts=CommentCounts(reactions={}, reaction_total=0, replies=0, version=0),
            version=1,
            created_at=datetime.now(UTC),
            edited_at=None,
            deleted=False,
        )
        async with transaction(self.feed) as connection:
            await connection.execute(
                "insert into feed.comment (id, post_id, parent, author_id, body, entities, created_at)"
                " values ($1, $2, $3, $4, $5, $6, now())",
                int(comment.id),
                int(post.id),
                int(parent.id) if parent else None,
                author.id,
                comment.body,
                _stored(comment.entities),
            )
            await self._append(connection, post.id, events.CommentCreated(comment=comment))
        return comment

    async def edit_comment(self, comment: Comment, *, mentions: Iterable[Member]) -> None:
        edited = msgspec.structs.replace(comment, entities=_mentions(mentions), version=comment.version + 1)
        async with transaction(self.feed) as connection:
            await connection.execute(
                "update feed.comment set version = version + 1, entities = $2 where id = $1",
                int(comment.id),
                _stored(edited.entities),
            )
            await self._append(connection, comment.post_id, events.CommentEdited(comment=edited))

    async def delete_comment(self, comment: Comment) -> None:
        async with transaction(self.feed) as connection:
            await connection.execute(
                "update feed.comment set deleted_at = now(), entities = '[]' where id = $1", int(comment.id)
            )
            gone = events.CommentDeleted(comment_id=comment.id, post_id=comment.post_id, version=2)
            await self._append(connection, comment.post_id, gone)

    async def story(
        self, author: Member, state: str, actor: Member, *, story_id: int | None = None, version: int = 2
    ) -> tuple[int, Post | None]:
        """A story of the author that `actor` brought to this state, and the post that it became."""
        post, made = await self.post(author) if state == "published" else None, story_id or new_id()
        event = events.StoryChanged(
            account_id=str(author.id),
            story_id=str(made),
            post_id=None if post is None else post.id,
            state=state,
            version=version,
            actor_id=str(actor.id),
        )
        async with transaction(self.feed) as connection:
            await connection.execute("delete from feed.story where id = $1", made)
            if state != "deleted":
                await connection.execute(
                    "insert into feed.story (id, author_id, state, body, topics, created_at, changed_at, post_id)"
                    " values ($1, $2, $3, '', '{}', now(), now(), $4)",
                    made,
                    author.id,
                    state,
                    post and int(post.id),
                )
            await self._append(connection, str(author.id), event)
        return made, post

    async def react(self, member: Member, target: Post | Comment, kind: str | None) -> None:
        """`kind` None withdraws."""
        table, column = ("reaction", "post_id") if isinstance(target, Post) else ("comment_reaction", "comment_id")
        async with transaction(self.feed) as connection:
            await connection.execute(
                f"delete from feed.{table} where {column} = $1 and account_id = $2", int(target.id), member.id
            )
            if kind is not None:
                await connection.execute(
                    f"insert into feed.{table} ({column}, account_id, kind, created_at) values ($1, $2, $3, now())",
                    int(target.id),
                    member.id,
                    kind,
                )
            changed = events.MineChanged(
                account_id=str(member.id),
                post_id=target.id if isinstance(target, Post) else target.post_id,
                comment_id=target.id if isinstance(target, Comment) else None,
                reaction=kind,
            )
            await self._append(connection, str(member.id), changed)

    async def append_raw(self, key: str, kind: str, payload: bytes) -> None:
        """An event that no release would write."""
        async with transaction(self.feed) as connection:
            await connection.fetchval("select eventlog.append($1, $2, '{}', $3)", key, kind, payload)

    async def number(self) -> None:
        """Every committed event has its position."""
        for head in await self.direct.fetch("select log, epoch from eventlog.head"):
            async with self.direct.transaction(isolation="repeatable_read"):
                await self.direct.fetch("select eventlog.number($1, $2, 0)", head["log"], head["epoch"])

    async def entries(self, log: int, after: int) -> list[Entry]:
        """What a tail would give."""
        return await read_range(self.direct, log, after + 1, 2**62, 10_000)

    async def told(
        self, member: Member, after: int = 0, log: int | None = None
    ) -> list[tuple[int, str, dict[str, object]]]:
        """What a socket on the member's inbox would show: (seq, type, fields), numbered first."""
        await self.number()
        logs = (
            [log]
            if log is not None
            else [row["log"] for row in await self.direct.fetch("select log from eventlog.head")]
        )
        return [
            (entry.seq, entry.type, msgspec.json.decode(entry.payload))
            for number in logs
            for entry in await self.entries(number, after)
            if f"inbox:{member.id}" in entry.channels and entry.type.startswith(("notification.", "inbox."))
        ]

    async def _append(self, connection: Connection, key: str, event: events.Event) -> None:
        await outbox.append(connection, key=key, event=event, channels=[f"post:{key}"])


def _stored(entities: list[Entity]) -> str:
    return encode(entities).decode()


def _mentions(members: Iterable[Member]) -> list[Entity]:
    return [Entity(type="mention", start=0, end=1, account_id=str(member.id)) for member in members]
