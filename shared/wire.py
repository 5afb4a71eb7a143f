"""The shapes that travel: posts, comments, topics and notifications as HTTP and events give them.

One Struct each, written by the feed or notify and carried unchanged through the log, so that a page that folds events
and a page that fetches afresh hold the same value. Ids are strings, times RFC 3339 in UTC with Z.
"""

from datetime import datetime
from typing import Any

import msgspec


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """A member as others see them."""

    id: str
    handle: str
    display_name: str


class Entity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A span of a text, in Unicode code points, `end` exclusive: a tag, a mention or a link."""

    type: str
    start: int
    end: int
    slug: str | None = None
    account_id: str | None = None
    url: str | None = None


class MediaUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where a photo's three sizes are."""

    small: str
    medium: str
    full: str


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A photo; width and height in pixels, of the full size."""

    id: str
    alt: str | None
    width: int
    height: int
    urls: MediaUrls


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """A post's counts, absolute; `version` grows with each change and guards them alone."""

    reactions: dict[str, int]
    reaction_total: int
    comments: int
    version: int


class CommentCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A comment's counts, absolute; `replies` are direct answers that stand."""

    reactions: dict[str, int]
    reaction_total: int
    replies: int
    version: int


class Mine(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader did with it: their reaction, or null."""

    reaction: str | None


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A post. `mine` is unset in events, which all share; null for guests."""

    id: str
    kind: str
    author: Author
    title: str | None
    body: str
    entities: list[Entity]
    topics: list[str]
    media: list[Media]
    content_warning: str | None
    counts: Counts
    version: int
    created_at: datetime
    edited_at: datetime | None
    mine: Mine | msgspec.UnsetType | None = msgspec.UNSET


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """A comment. A deleted one keeps its place in the thread: body empty, author as it was."""

    id: str
    post_id: str
    parent: str | None
    author: Author
    body: str
    entities: list[Entity]
    counts: CommentCounts
    version: int
    created_at: datetime
    edited_at: datetime | None
    deleted: bool
    mine: Mine | msgspec.UnsetType | None = msgspec.UNSET


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's header; `joined` is unset in events."""

    slug: str
    name: str
    tag: str
    description: str | None
    people: int
    stories: int
    posts: int
    version: int
    joined: bool | msgspec.UnsetType = msgspec.UNSET


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an inbox. Kinds: comment, reply, mention, reaction, story_published, story_returned; others may come.

    `post_id` is what it is about; of a story that was sent back the story's own id, since it is no post.
    """

    id: str
    kind: str
    actor: Author
    post_id: str
    comment_id: str | None
    created_at: datetime
    read: bool


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor on the wire: one position per log, all of one epoch."""

    epoch: int
    seq: list[int]


_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """JSON as every part of Chorus writes it."""
    return _encoder.encode(value)
