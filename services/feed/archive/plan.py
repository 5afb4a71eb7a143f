"""What importing an archive would write: which of its lines are new, the ids they get, and what stands in the way.

A line that was imported before under the same archive's name is left as it is now in the community; one whose words
have changed since is a fault, because an import never overwrites what people may have read or answered.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from services.feed.archive.photos import Photo
from services.feed.archive.reading import Contents
from services.feed.archive.records import (
    Comment,
    LineFault,
    Member,
    Membership,
    Post,
    Reaction,
    Record,
    Topic,
    encode,
)
from services.feed.queries import QUERIES
from shared import clock
from shared.ids import new_id
from shared.postgres import Connection

R = TypeVar("R", bound=Record)
Key = tuple[str, str]
"""(type, ref) as in feed.import_ref."""


NAMED: tuple[type[Record], ...] = (Topic, Member, Membership, Post, Comment, Reaction)
"""Every kind of line but the first, which names the archive."""


def key_of(record: Record) -> Key:
    """What a record is known by within its archive."""
    match record:
        case Topic(slug=ref) | Member(ref=ref) | Post(ref=ref) | Comment(ref=ref):
            pass
        case Membership(member=member, topic=topic):
            ref = f"{member}\t{topic}"
        case Reaction(post=post, comment=comment, member=member):
            ref = f"post\t{post}\t{member}" if isinstance(post, str) else f"comment\t{comment}\t{member}"
        case _:
            raise TypeError(f"{record} has no name of its own")
    return str(record.__struct_config__.tag), ref


def digest_of(record: Record) -> bytes:
    """The same for two records that say the same, however their lines are written."""
    return hashlib.sha256(encode(record)).digest()[:16]


class Plan:
    """The new lines of an archive, and the id of everything that they name."""

    def __init__(self, contents: Contents, known: dict[Key, tuple[int | None, bytes]], shift: timedelta) -> None:
        self.contents = contents
        self.shift = shift
        self.ids: dict[Key, int] = {key: made for key, (made, _) in known.items() if made is not None}
        self.known = known
        self.since = min(contents.moments(), default=clock.now())
        self._made: dict[int, int] = {}

    def new(self, kind: type[R]) -> Iterator[tuple[int, R]]:
        """(line, record) of this kind that were not imported before."""
        return ((line, record) for line, record in self.contents.each(kind) if key_of(record) not in self.known)

    def everything_new(self) -> Iterator[tuple[int, Record]]:
        """(line, record) of every kind that were not imported before."""
        for kind in NAMED:
            yield from self.new(kind)

    def is_new(self, kind: str, ref: str) -> bool:
        """Whether this import makes what is named."""
        return (kind, ref) not in self.known

    def make_id(self, at: datetime) -> int:
        """An id in its own time; those of one moment follow each other in the order they are asked for."""
        milliseconds = int(at.timestamp() * 1000)
        after = self._made.get(milliseconds)
        made = new_id(milliseconds) if after is None else after + 1
        self._made[milliseconds] = made
        return made


async def make_plan(
    connection: Connection, contents: Contents, shift: timedelta = timedelta(0)
) -> tuple[Plan, list[LineFault]]:
    """What to write, and the faults that only the community's present shows."""
    rows = await QUERIES.import_refs(connection, archive=contents.name)
    plan = Plan(contents, {(row["type"], row["ref"]): (row["id"], row["digest"]) for row in rows}, shift)
    faults = [
        *_changed(plan),
        *[fault async for fault in _taken(connection, plan)],
        *[fault async for fault in _other_headers(connection, plan)],
    ]
    _give_ids(plan)
    return plan, faults


def changed_photos(plan: Plan, photos: dict[str, Photo]) -> Iterator[LineFault]:
    """Photos that are not the ones imported before under their name."""
    for line, post in plan.contents.each(Post):
        for place, photo in enumerate(post.media):
            known = plan.known.get(("media", f"{post.ref}\t{place}"))
            found = photos.get(photo.file)
            if known is not None and found is not None and known[1] != bytes.fromhex(found.digest):
                detail = "This is another photo than the one imported before."
                yield LineFault(line=line, field=f"media.{place}.file", code="changed", detail=detail)


def _changed(plan: Plan) -> Iterator[LineFault]:
    for kind in NAMED:
        for line, record in plan.contents.each(kind):
            known = plan.known.get(key_of(record))
            if known is not None and known[1] != digest_of(record):
                detail = "It differs from what was imported before under this name; an import never overwrites."
                yield LineFault(line=line, field="", code="changed", detail=detail)


async def _taken(connection: Connection, plan: Plan) -> AsyncIterator[LineFault]:
    members = {member.handle: line for line, member in plan.new(Member)}
    for row in await QUERIES.taken_handles(connection, handles=list(members)):
        detail = f"Somebody else here bears the handle {row['handle']}."
        yield LineFault(line=members[row["handle"]], field="handle", code="taken", detail=detail)


async def _other_headers(connection: Connection, plan: Plan) -> AsyncIterator[LineFault]:
    topics = {topic.slug: (line, topic) for line, topic in plan.new(Topic)}
    for row in await QUERIES.headers_of(connection, slugs=list(topics)):
        line, topic = topics[row["slug"]]
        same = (topic.name, topic.tag, topic.description) == (row["name"], row["tag"], row["description"])
        from_a_hashtag = row["description"] is None and row["name"] == row["tag"]
        if not same and not from_a_hashtag:
            detail = f"The topic is here already, with another header: {row['name']!r}."
            yield LineFault(line=line, field="slug", code="taken", detail=detail)


def _give_ids(plan: Plan) -> None:
    for _, member in plan.new(Member):
        plan.ids["member", member.ref] = plan.make_id(plan.since + plan.shift)
    for _, post in sorted(plan.new(Post), key=lambda found: found[1].created_at):
        plan.ids["post", post.ref] = plan.make_id(post.created_at + plan.shift)
    for _, comment in sorted(plan.new(Comment), key=lambda found: found[1].created_at):
        plan.ids["comment", comment.ref] = plan.make_id(comment.created_at + plan.shift)
