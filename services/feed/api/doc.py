"""What each call says of itself for the OpenAPI document: beside the handler, so that neither changes alone."""

from typing import Any

import msgspec

from services.feed.roles import Role
from services.feed.sessions import OpenSession
from services.feed.story import Line, Story
from shared import errors
from shared.errors import ChorusError
from shared.wire import AsOf, Author, Comment, Media, Post, Topic

Errors = tuple[type[ChorusError], ...]

READS: Errors = (errors.NotSignedIn,)
WRITES: Errors = (errors.NotSignedIn, errors.BadOrigin, errors.Busy)
BODIES: Errors = (errors.Unparsable, errors.Invalid, errors.UnsupportedType, errors.TooLarge)


class Doc(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `answer` None: no body; `media_type` when it is no JSON; `query`: parameters with their schemas."""

    answer: Any = None
    status: int = 200
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    form: bool = False
    errors: Errors = ()
    query: tuple[str, ...] = ()
    member: bool = False
    key: bool = False
    conditional: bool = False
    media_type: str = "application/json"


class Me(Author, frozen=True, kw_only=True):
    """Who is signed in, and what they may do beyond what every member may."""

    role: Role


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A new member and a bearer token of theirs."""

    account: Author
    token: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in, and for how many seconds; `token` is left out where a cookie was set instead."""

    account: Author
    expires_in: int
    token: str | msgspec.UnsetType = msgspec.UNSET


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What a page hands to the socket, within so many seconds."""

    ticket: str
    expires_in: int


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A member's sessions that stand, newest first."""

    items: list[OpenSession]
    next: str | None
    as_of: AsOf


class TopicNow(Topic, frozen=True, kw_only=True):
    """A topic's header with the positions it holds for."""

    as_of: AsOf


class TopicPage(msgspec.Struct, frozen=True, kw_only=True):
    """Topics, the most followed first."""

    items: list[Topic]
    next: str | None
    as_of: AsOf


class StoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Stories on their way, without their words."""

    items: list[Line]
    next: str | None
    as_of: AsOf


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What Markdown looks like."""

    html: str


class PostPage(msgspec.Struct, frozen=True, kw_only=True):
    """Posts of a topic."""

    items: list[Post]
    next: str | None
    as_of: AsOf


class CommentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Comments of a post, oldest first."""

    items: list[Comment]
    next: str | None
    as_of: AsOf


class FeedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The greatest lengths (code points), numbers and sizes (bytes) that are taken."""

    body: int
    story: int
    title: int
    content_warning: int
    alt: int
    topics: int
    media: int
    media_bytes: int
    page: int


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What a page needs to know before it can do anything."""

    live_url: str
    notify_url: str
    mail: bool
    reaction_kinds: tuple[str, ...]
    limits: FeedLimits


__all__ = [
    "BODIES",
    "READS",
    "WRITES",
    "Account",
    "CommentPage",
    "Configuration",
    "Doc",
    "FeedLimits",
    "Me",
    "Media",
    "OpenSession",
    "PostPage",
    "Preview",
    "Session",
    "SessionPage",
    "Story",
    "StoryPage",
    "Ticket",
    "TopicNow",
    "TopicPage",
]
