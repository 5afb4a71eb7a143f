"""Who is told what: pure functions from an event, and the authors it concerns, to recipients.

Whether a cause still stands, and whether somebody was told before, is not decided here: that needs locks.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

import msgspec

from shared.events import (
    CommentCreated,
    CommentDeleted,
    CommentEdited,
    Event,
    MineChanged,
    PostCreated,
    PostDeleted,
    PostEdited,
    StoryChanged,
    decode_payload,
)
from shared.ids import parse_id
from shared.wire import Entity

HANDLED = frozenset(
    struct.__struct_config__.tag
    for struct in (
        *(PostCreated, PostEdited, PostDeleted, CommentCreated, CommentEdited, CommentDeleted),
        *(MineChanged, StoryChanged),
    )
)
"""Types of event that can change an inbox; the notifier passes over all others undecoded."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A post or comment stands as it was written: its mentions and, when it is new, whom it answers."""

    post_id: int
    comment_id: int | None
    parent: int | None
    actor: int
    mentions: tuple[int, ...]
    answers: bool
    at: datetime
    request_id: str | None = None


class Reacted(msgspec.Struct, frozen=True, kw_only=True):
    """A member's reaction on a post or comment may have come or gone: which, the feed says when it is looked at."""

    post_id: int
    comment_id: int | None
    actor: int
    at: datetime
    request_id: str | None = None


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """A moderator published a story, or sent it back. `post_id` is the post's that it became, else the story's own."""

    post_id: int
    comment_id: None = None
    actor: int
    author: int
    kind: str
    cause: str
    at: datetime
    request_id: str | None = None


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A post (`comment_id` None) or a comment was deleted."""

    post_id: int
    comment_id: int | None
    at: datetime
    request_id: str | None = None


Meaning: TypeAlias = Written | Reacted | Reviewed | Gone


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient told of one cause."""

    recipient: int
    kind: str
    actor: int
    post_id: int
    comment_id: int | None
    cause: str
    at: datetime
    request_id: str | None = None


class Authors(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote the posts and comments that a batch concerns; what the feed does not know is missing."""

    posts: Mapping[int, int]
    comments: Mapping[int, int]


def meaning_of(kind: str, payload: bytes, at: str, request_id: str | None = None) -> Meaning | None:
    """What an event means for inboxes; None: nothing. `request_id` is what caused it, and what this causes in turn.

    Raises msgspec.DecodeError, msgspec.ValidationError or ValueError when it is not what its type says.
    """
    if kind not in HANDLED:
        return None
    meaning = _read(decode_payload(kind, payload), datetime.fromisoformat(at))
    return meaning if meaning is None else msgspec.structs.replace(meaning, request_id=request_id)


def concerns_inboxes(kind: str, payload: bytes, at: str) -> bool:
    """Whether an event can mean something to an inbox. So does one that can't be read: it has to be parked."""
    try:
        return meaning_of(kind, payload, at) is not None
    except (ValueError, RecursionError):
        return True


def _read(event: Event | None, at: datetime) -> Meaning | None:
    match event:
        case PostCreated(post=post) if not mentioned(post.entities):
            return None  # most of what a busy community writes: a new post without mentions is nobody's news here
        case PostCreated(post=post) | PostEdited(post=post):
            return Written(
                post_id=_id(post.id),
                comment_id=None,
                parent=None,
                actor=_id(post.author.id),
                mentions=mentioned(post.entities),
                answers=False,
                at=at,
            )
        case CommentCreated(comment=comment) | CommentEdited(comment=comment):
            return Written(
                post_id=_id(comment.post_id),
                comment_id=_id(comment.id),
                parent=None if comment.parent is None else _id(comment.parent),
                actor=_id(comment.author.id),
                mentions=mentioned(comment.entities),
                answers=isinstance(event, CommentCreated),
                at=at,
            )
        case PostDeleted(post_id=post_id):
            return Gone(post_id=_id(post_id), comment_id=None, at=at)
        case CommentDeleted(post_id=post_id, comment_id=comment_id):
            return Gone(post_id=_id(post_id), comment_id=_id(comment_id), at=at)
        case MineChanged(account_id=actor, post_id=post_id, comment_id=target):
            on_comment = None if target is None else _id(target)
            return Reacted(post_id=_id(post_id), comment_id=on_comment, actor=_id(actor), at=at)
        case StoryChanged(state="deleted"):
            return Gone(post_id=_id(event.story_id), comment_id=None, at=at)
        case StoryChanged(state="published" | "returned") if event.actor_id != event.account_id:
            return Reviewed(
                post_id=_id(event.post_id or event.story_id),
                actor=_id(event.actor_id),
                author=_id(event.account_id),
                kind=f"story_{event.state}",
                cause=f"story:{event.story_id}:{event.version}",
                at=at,
            )
    return None


def mentioned(entities: Iterable[Entity]) -> tuple[int, ...]:
    """The members that a text mentions, each once, in the order of the text."""
    found = [_id(entity.account_id) for entity in entities if entity.type == "mention" and entity.account_id]
    return tuple(dict.fromkeys(found))


def notices_of(meaning: Meaning, authors: Authors) -> list[Notice]:
    """Who might be told of it: nobody of their own doing, and nobody twice of one cause (mention > reply > comment)."""
    match meaning:
        case Written():
            kinds = _written_kinds(meaning, authors)
            cause = cause_of(meaning.post_id, meaning.comment_id)
        case Reacted():
            author = _author(meaning, authors)
            kinds = {} if author is None else {author: "reaction"}
            cause = f"reaction:{cause_of(meaning.post_id, meaning.comment_id)}:{meaning.actor}"
        case Reviewed():
            kinds, cause = {meaning.author: meaning.kind}, meaning.cause
        case Gone():
            return []
    return [
        Notice(
            recipient=recipient,
            kind=kind,
            actor=meaning.actor,
            post_id=meaning.post_id,
            comment_id=meaning.comment_id,
            cause=cause,
            at=meaning.at,
            request_id=meaning.request_id,
        )
        for recipient, kind in kinds.items()
        if recipient != meaning.actor
    ]


def cause_of(post_id: int, comment_id: int | None) -> str:
    """The name of a post or comment as a cause."""
    return f"post:{post_id}" if comment_id is None else f"comment:{comment_id}"


def _written_kinds(written: Written, authors: Authors) -> dict[int, str]:
    kinds: dict[int, str] = {}
    if written.answers:
        if (author := authors.posts.get(written.post_id)) is not None:
            kinds[author] = "comment"
        if written.parent is not None and (answered := authors.comments.get(written.parent)) is not None:
            kinds[answered] = "reply"
    return kinds | dict.fromkeys(written.mentions, "mention")


def _author(reacted: Reacted, authors: Authors) -> int | None:
    if reacted.comment_id is None:
        return authors.posts.get(reacted.post_id)
    return authors.comments.get(reacted.comment_id)


def _id(text: str) -> int:
    made = parse_id(text)
    if made is None:
        raise ValueError(f"{text[:40]!r} is no id")
    return made
