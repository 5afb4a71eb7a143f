"""Every event: an immutable, past-tense fact, with the channels that it is visible on.

Payloads are JSON objects without `type`, `id` and `at`, which the log keeps apart and frames put in front. Readers
tolerate unknown fields and unknown types: two releases meet in the log. Golden files guard the shapes.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

from shared.wire import Comment, Notification, Post, Topic, encode


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What every event has: a type (its tag), a key that chooses the log and orders it, and channels."""

    @property
    def type(self) -> str:
        """The event's name, e.g. `post.created`."""
        return str(self.__struct_config__.tag)


class PostCreated(Event, frozen=True, kw_only=True, tag="post.created"):
    """A post was published; `post` as HTTP gives it, without `mine`."""

    post: Post


class PostEdited(Event, frozen=True, kw_only=True, tag="post.edited"):
    """A post's words, topics or photos changed."""

    post: Post


class PostDeleted(Event, frozen=True, kw_only=True, tag="post.deleted"):
    """A post is gone."""

    post_id: str
    version: int


class CommentCreated(Event, frozen=True, kw_only=True, tag="comment.created"):
    """A comment was written."""

    comment: Comment


class CommentEdited(Event, frozen=True, kw_only=True, tag="comment.edited"):
    """A comment's words changed."""

    comment: Comment


class CommentDeleted(Event, frozen=True, kw_only=True, tag="comment.deleted"):
    """A comment's words are gone; its place in the thread stays."""

    comment_id: str
    post_id: str
    version: int


class CountsChanged(Event, frozen=True, kw_only=True, tag="counts.changed"):
    """Absolute counts of a post, or (with `comment_id`) of a comment; a later one supersedes an earlier one.

    `counts` is a Counts or a CommentCounts; read back from the log it is their JSON object.
    """

    post_id: str
    comment_id: str | None = None
    counts: Any


class TopicChanged(Event, frozen=True, kw_only=True, tag="topic.changed"):
    """A topic's header changed."""

    topic: Topic


class TopicReloaded(Event, frozen=True, kw_only=True, tag="topic.reloaded"):
    """Much of a topic changed at once (an import): its pages are told to fetch again."""

    slug: str


class MineChanged(Event, frozen=True, kw_only=True, tag="mine.changed"):
    """A member set or withdrew a reaction; for their other tabs, and for the notifier."""

    account_id: str
    post_id: str
    comment_id: str | None
    reaction: str | None


class MembershipChanged(Event, frozen=True, kw_only=True, tag="membership.changed"):
    """A member joined or left a topic."""

    account_id: str
    topic: str
    joined: bool


class StoryChanged(Event, frozen=True, kw_only=True, tag="story.changed"):
    """A story of this member was changed, moved on by somebody, or deleted: where it stands, and not a word of it.

    `state` is draft, review, returned, published or deleted; `post_id` is the post that it became. For the author's
    tabs, and for the notifier.
    """

    account_id: str
    story_id: str
    post_id: str | None
    state: str
    version: int
    actor_id: str


class SessionRevoked(Event, frozen=True, kw_only=True, tag="session.revoked"):
    """A session ended before its time; its sockets close."""

    account_id: str
    session_id: str


class NotificationChanged(Event, frozen=True, kw_only=True, tag="notification.changed"):
    """A line of an inbox is new or changed."""

    notification: Notification
    unread: int


class NotificationRemoved(Event, frozen=True, kw_only=True, tag="notification.removed"):
    """What these lines were about is gone."""

    ids: list[str]
    unread: int


class InboxRead(Event, frozen=True, kw_only=True, tag="inbox.read"):
    """Everything up to this notification has been read."""

    up_to: str
    unread: int


class InboxTouched(Event, frozen=True, kw_only=True, tag="inbox.touched"):
    """One page of a large fan-out was written to this inbox and others; its pages fetch again.

    It names nobody: many inboxes share it, and who else was told is not theirs to know.
    """

    kind: str


AnyEvent: TypeAlias = (
    PostCreated
    | PostEdited
    | PostDeleted
    | CommentCreated
    | CommentEdited
    | CommentDeleted
    | CountsChanged
    | TopicChanged
    | TopicReloaded
    | MineChanged
    | MembershipChanged
    | StoryChanged
    | SessionRevoked
    | NotificationChanged
    | NotificationRemoved
    | InboxRead
    | InboxTouched
)

KINDS: dict[str, type[Event]] = {kind.__struct_config__.tag: kind for kind in AnyEvent.__args__}
"""Every known event by its type."""


def encode_payload(event: Event) -> bytes:
    """The event as the log keeps it: a JSON object without its type."""
    fields = {field: getattr(event, field) for field in event.__struct_fields__}
    if isinstance(event, CountsChanged) and event.comment_id is None:
        del fields["comment_id"]
    return encode(fields)


def decode_payload(kind: str, payload: bytes) -> Event | None:
    """The event of type `kind`, or None for a type this release does not know.

    Raises msgspec.ValidationError or DecodeError when the payload is not what the type says.
    """
    struct = KINDS.get(kind)
    if struct is None:
        return None
    fields = msgspec.json.decode(payload)
    if not isinstance(fields, dict):
        raise msgspec.ValidationError("an event's payload is an object")
    return msgspec.convert({**fields, "type": kind}, struct)


def post_channels(post_id: str, author_id: str, topics: Iterable[str]) -> list[str]:
    """Where a post's events are visible: its own channel, its topics' and its author's."""
    return [f"post:{post_id}", *(f"topic:{slug}" for slug in dict.fromkeys(topics)), f"member:{author_id}"]


def comment_channels(post_id: str, author_id: str) -> list[str]:
    """Where a comment's events are visible: its post's channel and its author's."""
    return [f"post:{post_id}", f"member:{author_id}"]


def topic_channels(slug: str) -> list[str]:
    """Where a topic's header is visible."""
    return [f"topic:{slug}"]


def inbox_channels(account_id: str) -> list[str]:
    """What only its owner may see."""
    return [f"inbox:{account_id}"]
