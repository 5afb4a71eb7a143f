"""What may be sent: one Struct a call, and the checks that a type can't say.

Unknown fields are refused, and every fault is named at once: those of types and lengths beside those of content.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.feed import addresses, text
from services.feed.markdown import STORY_LENGTH
from shared import links
from shared.decoding import decode_body
from shared.errors import Fault, Invalid
from shared.ids import parse_id

TOPICS_MAX = 100
MEDIA_MAX = 10
NOTE_LENGTH = (1, 2000)
STORY_BYTES = 640 * 1024
"""What the JSON of a story may weigh: 40,000 characters, each written as two escapes of six bytes, and the rest."""

NewPassword = Annotated[str, Meta(min_length=8, max_length=200, description="None of those that are guessed first.")]
Given = Annotated[str, Meta(min_length=1, max_length=200, description="Your present password.")]
Address = Annotated[str, Meta(min_length=3, max_length=addresses.LONGEST, description="An e-mail address.")]
Token = Annotated[str, Meta(min_length=1, max_length=links.LONGEST, description="What follows the # in the link.")]

Check = Callable[[Any], list[Fault]]
B = TypeVar("B", bound="Body")

Version = Annotated[int, Meta(ge=1, le=2**31 - 1, description="The version that you read.")]
Words = Annotated[
    str, Meta(min_length=text.BODY_LENGTH[0], max_length=text.BODY_LENGTH[1], description="Taken exactly as it is.")
]
Long = Annotated[
    str,
    Meta(
        min_length=text.BODY_LENGTH[0],
        max_length=STORY_LENGTH[1],
        description=f"Taken exactly as it is. {text.BODY_LENGTH[1]:,} characters; a story, in Markdown, may have "
        f"{STORY_LENGTH[1]:,}.",
    ),
]
Markdown = Annotated[
    str, Meta(max_length=STORY_LENGTH[1], description="Markdown: CommonMark, without HTML and pictures.")
]
Title = Annotated[str, Meta(min_length=text.TITLE_LENGTH[0], max_length=text.TITLE_LENGTH[1])]
ContentWarning = Annotated[str, Meta(min_length=text.WARNING_LENGTH[0], max_length=text.WARNING_LENGTH[1])]
Id = Annotated[str, Meta(min_length=1, max_length=19, pattern="^[1-9][0-9]*$", description="An id.")]
Cover = Annotated[str, Meta(min_length=1, max_length=19, pattern="^[1-9][0-9]*$", description="Your own photo's id.")]
Tag = Annotated[str, Meta(min_length=1, max_length=text.MAX_TAG, description="A topic in any spelling.")]
Tags = Annotated[list[Tag], Meta(max_length=TOPICS_MAX)]
MediaIds = Annotated[list[Id], Meta(max_length=MEDIA_MAX, description="Your own photos, each in one post.")]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every body has in common."""


class SignUp(Body, frozen=True, kw_only=True):
    """A new account."""

    handle: Annotated[str, Meta(min_length=3, max_length=30, pattern="^[a-z0-9_]+$", description="Yours for good.")]
    display_name: Annotated[str, Meta(min_length=1, max_length=80)]
    password: NewPassword


class PasswordChange(Body, frozen=True, kw_only=True):
    """A new password, for who knows the present one."""

    current: Given
    password: NewPassword


class EmailChange(Body, frozen=True, kw_only=True):
    """The address that letters go to once it is confirmed; null: none."""

    address: Address | None
    password: Given


class RecoveryAsked(Body, frozen=True, kw_only=True):
    """The address that was confirmed."""

    address: Address


class PasswordReset(Body, frozen=True, kw_only=True):
    """A new password, for who reads the mail of the account."""

    token: Token
    password: NewPassword


class EmailConfirmation(Body, frozen=True, kw_only=True):
    """What the link in the letter bears."""

    token: Token


class Leaving(Body, frozen=True, kw_only=True):
    """An account is deleted: its words with it, or they stay below the name of nobody."""

    password: Given
    words: Annotated[
        Literal["remove", "keep"], Meta(description="What becomes of your posts, comments, photos and reactions.")
    ]


class SignIn(Body, frozen=True, kw_only=True):
    """A handle and its password; with `cookie` a browser's session, without a bearer token."""

    handle: Annotated[str, Meta(min_length=1, max_length=100)]
    password: Annotated[str, Meta(min_length=1, max_length=200)]
    cookie: bool = False


class Renewal(Body, frozen=True, kw_only=True):
    """Which kind of credentials: unset means the kind that asks."""

    cookie: bool | UnsetType = UNSET


class PostBody(Body, frozen=True, kw_only=True):
    """A new post."""

    body: Long
    title: Title | None = None
    kind: Literal["post", "story"] = "post"
    topics: Tags = []
    media: MediaIds = []
    content_warning: ContentWarning | None = None


class PostChange(Body, frozen=True, kw_only=True):
    """What changes in a post; what is left out stays."""

    version: Version
    body: Long | UnsetType = UNSET
    title: Title | UnsetType | None = UNSET
    topics: Tags | UnsetType = UNSET
    media: MediaIds | UnsetType = UNSET
    content_warning: ContentWarning | UnsetType | None = UNSET


class StoryBody(Body, frozen=True, kw_only=True):
    """A draft; what it lacks may come later."""

    title: Title | None = None
    body: Markdown = ""
    topics: Tags = []
    cover: Cover | None = None
    content_warning: ContentWarning | None = None


class StoryChange(Body, frozen=True, kw_only=True):
    """What changes in a draft; what is left out stays."""

    version: Version
    title: Title | UnsetType | None = UNSET
    body: Markdown | UnsetType = UNSET
    topics: Tags | UnsetType = UNSET
    cover: Cover | UnsetType | None = UNSET
    content_warning: ContentWarning | UnsetType | None = UNSET


class StoryStep(Body, frozen=True, kw_only=True):
    """A step of a story: of the version that you read."""

    version: Version


class StoryReturn(Body, frozen=True, kw_only=True):
    """A story goes back to its author."""

    version: Version
    note: Annotated[str, Meta(min_length=1, max_length=NOTE_LENGTH[1], description="Why, in words for its author.")]


class PreviewBody(Body, frozen=True, kw_only=True):
    """Words to look at."""

    body: Markdown


class CommentBody(Body, frozen=True, kw_only=True):
    """A new comment; `parent` is the comment it answers."""

    body: Words
    parent: Id | None = None


class CommentChange(Body, frozen=True, kw_only=True):
    """A comment's new words."""

    version: Version
    body: Words


class ReactionBody(Body, frozen=True, kw_only=True):
    """The one reaction that you set."""

    kind: Annotated[str, Meta(min_length=1, max_length=50, description="One of the kinds in GET /v1/config.")]


def read(raw: bytes, struct: type[B]) -> B:
    """The `struct` that the JSON `raw` is. Raises Unparsable, or Invalid with every fault of types and of content."""
    checks = _CHECKS.get(struct, {})
    try:
        body = decode_body(raw, struct)
        given = {name: getattr(body, name) for name in checks}
        faults: list[Fault] = []
    except Invalid as error:
        faults = error.errors
        loose = msgspec.json.decode(raw)
        wrong = {fault.field.split(".", 1)[0] for fault in faults}
        given = {name: loose.get(name) for name in checks if name not in wrong} if isinstance(loose, dict) else {}
    for name, check in checks.items():
        value = given.get(name)
        if value is not None and value is not UNSET:
            faults = [*faults, *check(value)]
    if faults:
        raise Invalid(errors=faults)
    return body


def ids(given: list[str]) -> list[int]:
    """The numbers behind ids that passed the checks here."""
    return [int(each) for each in given]


def _text(field: str, length: tuple[int, int], *, single_line: bool = False) -> Check:
    return lambda value: text.check_text(value, field=field, maximum=length[1], single_line=single_line)


def _topics(value: list[str]) -> list[Fault]:
    return [fault for place, tag in enumerate(value) for fault in text.check_slug(tag, field=f"topics.{place}")]


def _media(value: list[str]) -> list[Fault]:
    faults = [fault for place, each in enumerate(value) for fault in _id(f"media.{place}")(each)]
    if len(set(value)) < len(value):
        faults.append(Fault(field="media", code="repeated", detail="A photo stands in a post once."))
    return faults


def _id(field: str) -> Check:
    def check(value: str) -> list[Fault]:
        if parse_id(value) is not None:
            return []
        return [Fault(field=field, code="not_found", detail="There is nothing with such an id.")]

    return check


def _draft(value: str) -> list[Fault]:
    return text.check_text(value, field="body", minimum=0, maximum=STORY_LENGTH[1])


_POST: dict[str, Check] = {
    "body": _text("body", STORY_LENGTH),
    "title": _text("title", text.TITLE_LENGTH, single_line=True),
    "topics": _topics,
    "media": _media,
    "content_warning": _text("content_warning", text.WARNING_LENGTH, single_line=True),
}
_PASSWORD = _text("password", (1, 200))
_STORY: dict[str, Check] = {
    **{name: check for name, check in _POST.items() if name != "media"},
    "body": _draft,
    "cover": _id("cover"),
}
_CHECKS: dict[type[Body], dict[str, Check]] = {
    SignUp: {
        "handle": text.check_handle,
        "display_name": text.check_display_name,
        "password": _PASSWORD,
    },
    PasswordChange: {"current": _text("current", (1, 200)), "password": _PASSWORD},
    EmailChange: {"address": addresses.check_address, "password": _PASSWORD},
    RecoveryAsked: {"address": addresses.check_address},
    PasswordReset: {"token": _text("token", (1, links.LONGEST), single_line=True), "password": _PASSWORD},
    EmailConfirmation: {"token": _text("token", (1, links.LONGEST), single_line=True)},
    Leaving: {"password": _PASSWORD},
    SignIn: {"handle": _text("handle", (1, 100), single_line=True), "password": _text("password", (1, 200))},
    StoryBody: _STORY,
    StoryChange: _STORY,
    StoryReturn: {"note": _text("note", NOTE_LENGTH)},
    PreviewBody: {"body": _draft},
    PostBody: _POST,
    PostChange: _POST,
    CommentBody: {"body": _text("body", text.BODY_LENGTH), "parent": _id("parent")},
    CommentChange: {"body": _text("body", text.BODY_LENGTH)},
}
