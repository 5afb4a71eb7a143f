"""Rows to the shapes that travel, and those to JSON: the one place that knows both."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from shared import clock
from shared.wire import (
    AsOf,
    Author,
    Comment,
    CommentCounts,
    Counts,
    Entity,
    Media,
    MediaUrls,
    Mine,
    Post,
    Topic,
    encode,
)

_entities = msgspec.json.Decoder(list[Entity])
_reactions = msgspec.json.Decoder(dict[str, int])
_media = msgspec.json.Decoder(list[tuple[str | int, str | None, int, int]])
_as_of = msgspec.json.Decoder(AsOf)


def now() -> datetime:
    """This moment, to the millisecond: what is stored and what is sent are the same."""
    moment = clock.now()
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def as_of(row: asyncpg.Record) -> AsOf:
    """The log's positions in the row's own snapshot."""
    return _as_of.decode(row["as_of"])


def mine(viewer: int | None, reaction: str | None) -> Mine | None:
    """What the reader did with it; null for guests."""
    return None if viewer is None else Mine(reaction=reaction)


def media(media_id: int, alt: str | None, width: int, height: int) -> Media:
    """A photo with its addresses: an id names the same bytes for ever."""
    place = f"/media/{media_id}"
    urls = MediaUrls(small=f"{place}/small", medium=f"{place}/medium", full=f"{place}/full")
    return Media(id=str(media_id), alt=alt, width=width, height=height, urls=urls)


def entities(stored: str) -> list[Entity]:
    """Entities as they are stored."""
    return _entities.decode(stored)


def counts(row: asyncpg.Record, version: str = "version") -> Counts:
    """A post's counts from a row of post_count."""
    return Counts(
        reactions=_reactions.decode(row["reactions"]),
        reaction_total=row["reaction_total"],
        comments=row["comments"],
        version=row[version],
    )


def comment_counts(row: asyncpg.Record, version: str = "version") -> CommentCounts:
    """A comment's counts from a row of comment_count."""
    return CommentCounts(
        reactions=_reactions.decode(row["reactions"]),
        reaction_total=row["reaction_total"],
        replies=row["replies"],
        version=row[version],
    )


def author(row: asyncpg.Record) -> Author:
    """Who wrote it."""
    return Author(id=str(row["author_id"]), handle=row["handle"], display_name=row["display_name"])


def post(row: asyncpg.Record) -> Post:
    """A row of post_wire as events carry it: without `mine`."""
    return Post(
        id=str(row["id"]),
        kind=row["kind"],
        author=author(row),
        title=row["title"],
        body=row["body"],
        entities=_entities.decode(row["entities"]),
        topics=row["topics"] or [],
        media=[media(int(m[0]), *m[1:]) for m in _media.decode(row["media"])] if row["media"] else [],
        content_warning=row["content_warning"],
        counts=counts(row, "counts_version"),
        version=row["version"],
        created_at=row["created_at"],
        edited_at=row["edited_at"],
    )


def comment(row: asyncpg.Record) -> Comment:
    """A row of comment_wire as events carry it: without `mine`."""
    return Comment(
        id=str(row["id"]),
        post_id=str(row["post_id"]),
        parent=None if row["parent"] is None else str(row["parent"]),
        author=author(row),
        body=row["body"],
        entities=_entities.decode(row["entities"]),
        counts=comment_counts(row, "counts_version"),
        version=row["version"],
        created_at=row["created_at"],
        edited_at=row["edited_at"],
        deleted=row["deleted"],
    )


def topic(row: asyncpg.Record) -> Topic:
    """A row of topic_wire as events carry it: without `joined`."""
    return Topic(
        slug=row["slug"],
        name=row["name"],
        tag=row["tag"],
        description=row["description"],
        people=row["people"],
        stories=row["stories"],
        posts=row["posts"],
        version=row["version"],
    )


def with_mine(entity: Post | Comment, viewer: int | None, reaction: str | None) -> bytes:
    """The entity as its reader gets it. `mine` comes last, so an event's bytes and a reader's share their beginning."""
    return encode(entity)[:-1] + b',"mine":' + encode(mine(viewer, reaction)) + b"}"


def list_of(items: Sequence[bytes]) -> bytes:
    """A JSON array of what is encoded already."""
    return b"[" + b",".join(items) + b"]"


def json_text(value: Any) -> str:
    """JSON as Postgres takes it for jsonb."""
    return encode(value).decode()
