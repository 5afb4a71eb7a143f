"""`chorus export`: records as they stand now, in the form in which they could be imported.

With an archive's name: what was imported under it and still stands, under the names it had there, in its order; what
the community has added since is not part of it. Without: everything, under names made from ids.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import UNSET

from services.feed.archive.records import (
    VERSION,
    Archive,
    Comment,
    Member,
    Membership,
    Photo,
    Post,
    Reaction,
    Record,
    Topic,
    whole_seconds,
)
from services.feed.queries import QUERIES
from services.feed.storage import original_key, variant_key
from shared.errors import NotFound
from shared.postgres import Connection

EVERYTHING = "chorus"
"""The name of an archive of everything."""

_LAST = 1 << 62


class Exported(NamedTuple):
    """An archive's records in order, and where its photos lie: path beside the archive to key in storage."""

    records: list[Record]
    photos: dict[str, str]


async def export(connection: Connection, archive: str | None) -> Exported:
    """What `archive` holds, or everything when it is None; read in one snapshot by the caller's transaction.

    Raises NotFound when nothing was imported under that name.
    """
    names = _Names(archive, await QUERIES.import_refs(connection, archive=archive) if archive else [])
    if archive and not names.known:
        raise NotFound(f"Nothing was imported under the name {archive!r}.")
    export = _Export(connection, names)
    await export.read()
    return Exported([Archive(version=VERSION, name=archive or EVERYTHING), *export.in_order()], export.photos)


class _Names:
    """What things are called in the archive, and where they stood in it."""

    def __init__(self, archive: str | None, refs: Sequence[Any]) -> None:
        self.archive = archive
        self.known: dict[tuple[str, str], int] = {(row["type"], row["ref"]): row["place"] for row in refs}
        self._refs = {(row["type"], row["id"]): row["ref"] for row in refs if row["id"] is not None}

    def ids(self, kind: str) -> list[int] | None:
        """The rows of this kind that belong to it; None for all."""
        if self.archive is None:
            return None
        return [made for found, made in self._refs if found == kind]

    def ref(self, kind: str, made: int) -> str | None:
        """A row's name; None for what does not belong to it."""
        return f"{kind[0]}{made}" if self.archive is None else self._refs.get((kind, made))

    def holds(self, kind: str, *parts: str) -> bool:
        """Whether what has no row of its own (a membership, a reaction) belongs to it."""
        return self.archive is None or (kind, "\t".join(parts)) in self.known

    def place(self, kind: str, *parts: str) -> int:
        return self.known.get((kind, "\t".join(parts)), _LAST)


class _Export:
    def __init__(self, connection: Connection, names: _Names) -> None:
        self._connection = connection
        self._names = names
        self._placed: list[tuple[int, Record]] = []
        self.photos: dict[str, str] = {}

    def in_order(self) -> Iterator[Record]:
        """As they stood in the archive; what has no place there last, in the order of reading."""
        return (record for _, record in sorted(self._placed, key=lambda placed: placed[0]))

    async def read(self) -> None:
        posts = await QUERIES.export_posts(self._connection, ids=self._names.ids("post"))
        await self._topics({slug for post in posts for slug in post["asked"]})
        await self._members()
        await self._posts(posts)
        await self._comments({post["id"] for post in posts})
        await self._reactions([post["id"] for post in posts])

    async def _topics(self, asked: set[str]) -> None:
        slugs: list[str] | None = None
        if self._names.archive is not None:
            slugs = sorted(asked | {ref for kind, ref in self._names.known if kind == "topic"})
        for row in await QUERIES.export_topics(self._connection, slugs=slugs):
            topic = Topic(slug=row["slug"], name=row["name"], tag=row["tag"], description=row["description"])
            self._place(topic, "topic", topic.slug)

    async def _members(self) -> None:
        ids = self._names.ids("member")
        for row in await QUERIES.export_members(self._connection, ids=ids):
            ref = self._ref("member", row["id"])
            member = Member(ref=ref, handle=row["handle"], display_name=row["display_name"])
            self._place(member, "member", ref)
        for row in await QUERIES.export_memberships(self._connection, members=ids):
            ref = self._ref("member", row["account_id"])
            if self._names.holds("membership", ref, row["topic"]):
                self._place(Membership(member=ref, topic=row["topic"]), "membership", ref, row["topic"])

    async def _posts(self, posts: Sequence[Any]) -> None:
        media: dict[int, list[Photo]] = {}
        ids = [post["id"] for post in posts]
        for row in await QUERIES.export_media(self._connection, archive=self._names.archive, posts=ids):
            media.setdefault(row["post_id"], []).append(Photo(file=self._photo(row), alt=row["alt"]))
        for row in posts:
            ref = self._ref("post", row["id"])
            post = Post(
                ref=ref,
                author=self._ref("member", row["author_id"]),
                kind=row["kind"],
                title=row["title"],
                body=row["body"],
                content_warning=UNSET if row["content_warning"] is None else row["content_warning"],
                topics=row["asked"],
                media=media.get(row["id"], []),
                created_at=whole_seconds(row["created_at"]),
                edited_at=UNSET if row["edited_at"] is None else whole_seconds(row["edited_at"]),
            )
            self._place(post, "post", ref)

    async def _comments(self, posts: set[int]) -> None:
        found = await QUERIES.export_comments(self._connection, ids=self._names.ids("comment"))
        rows = {row["id"]: row for row in found if row["post_id"] in posts}
        for row in rows.values():
            if row["deleted"]:
                continue
            ref = self._ref("comment", row["id"])
            parent = _standing_parent(rows, row)
            comment = Comment(
                ref=ref,
                post=self._ref("post", row["post_id"]),
                author=self._ref("member", row["author_id"]),
                parent=None if parent is None else self._ref("comment", parent),
                body=row["body"],
                created_at=whole_seconds(row["created_at"]),
                edited_at=UNSET if row["edited_at"] is None else whole_seconds(row["edited_at"]),
            )
            self._place(comment, "comment", ref)
        await self._reactions_to_comments([made for made, row in rows.items() if not row["deleted"]])

    async def _reactions(self, posts: list[int]) -> None:
        for row in await QUERIES.export_reactions(self._connection, posts=posts):
            post, member = self._ref("post", row["post_id"]), self._names.ref("member", row["account_id"])
            if member is not None and self._names.holds("reaction", "post", post, member):
                reaction = Reaction(post=post, member=member, kind=row["kind"])
                self._place(reaction, "reaction", "post", post, member)

    async def _reactions_to_comments(self, comments: list[int]) -> None:
        for row in await QUERIES.export_comment_reactions(self._connection, comments=comments):
            comment, member = self._ref("comment", row["comment_id"]), self._names.ref("member", row["account_id"])
            if member is not None and self._names.holds("reaction", "comment", comment, member):
                reaction = Reaction(comment=comment, member=member, kind=row["kind"])
                self._place(reaction, "reaction", "comment", comment, member)

    def _photo(self, row: Any) -> str:
        """The photo's path beside the archive: the one it came with, or one made from its content."""
        suffix = ".webp" if row["file"] is None else "." + row["file"].rpartition(".")[2]
        file = row["file"] if row["file"] and self._names.archive else f"media/{row['digest'][:32]}{suffix}"
        original = row["file"] is not None
        self.photos[file] = original_key(row["digest"]) if original else variant_key(row["digest"], "full")
        return str(file)

    def _ref(self, kind: str, made: int) -> str:
        ref = self._names.ref(kind, made)
        if ref is None:
            raise LookupError(f"{kind} {made} does not belong to archive {self._names.archive!r}")
        return ref

    def _place(self, record: Record, kind: str, *parts: str) -> None:
        self._placed.append((self._names.place(kind, *parts), record))


def _standing_parent(rows: dict[int, Any], row: Any) -> int | None:
    """What a comment answers, or the next above it when that was deleted."""
    parent: int | None = row["parent"]
    while parent is not None and (parent not in rows or rows[parent]["deleted"]):
        parent = rows[parent]["parent"] if parent in rows else None
    return parent
