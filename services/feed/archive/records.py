"""The records of an archive: what each kind of line holds, and how a line becomes one.

Every field is there, null where there is nothing; only the few marked unset may be missing, and those are left out
again by the export, so that an archive comes back as it was.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.decoding import faults
from shared.errors import Fault

VERSION = 1
LINE_BYTES = 1_048_576
"""The longest line. A post of 5,000 characters needs 30 KB at most."""

Ref = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""Names a thing within its archive."""
Moment = Annotated[datetime, Meta(tz=True)]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line."""


class Archive(Record, frozen=True, kw_only=True, tag="archive"):
    """The first line. `name` is what the export asks for, and what makes repeating an import safe."""

    version: int
    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Topic(Record, frozen=True, kw_only=True, tag="topic"):
    """A topic's header; other lines name it by its slug."""

    slug: str
    name: str
    tag: str
    description: str | None


class Member(Record, frozen=True, kw_only=True, tag="member"):
    """An account; it can't sign in."""

    ref: Ref
    handle: str
    display_name: str


class Membership(Record, frozen=True, kw_only=True, tag="membership"):
    """A member has joined a topic."""

    member: Ref
    topic: str


class Photo(Record, frozen=True, kw_only=True):
    """A photo of a post; `file` is a path beside the archive, e.g. `media/1.png`."""

    file: str
    alt: str | None


class Post(Record, frozen=True, kw_only=True, tag="post"):
    """A post. `topics` are those asked for; those in the text are found in it."""

    ref: Ref
    author: Ref
    kind: Literal["post", "story"]
    title: str | None
    body: str
    content_warning: str | UnsetType = UNSET
    topics: list[str]
    media: list[Photo]
    created_at: Moment
    edited_at: Moment | UnsetType = UNSET


class Comment(Record, frozen=True, kw_only=True, tag="comment"):
    """A comment; `parent` is the comment that it answers."""

    ref: Ref
    post: Ref
    author: Ref
    parent: Ref | None
    body: str
    created_at: Moment
    edited_at: Moment | UnsetType = UNSET


class Reaction(Record, frozen=True, kw_only=True, tag="reaction"):
    """A member's reaction to a post or to a comment: exactly one of them is named."""

    post: Ref | UnsetType = UNSET
    comment: Ref | UnsetType = UNSET
    member: Ref
    kind: str


AnyRecord: TypeAlias = Archive | Topic | Member | Membership | Post | Comment | Reaction

KINDS: dict[str, type[Record]] = {kind.__struct_config__.tag: kind for kind in AnyRecord.__args__}

_decoder = msgspec.json.Decoder(AnyRecord)


class LineFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with an archive. `line` counts from 1; 0 is the file as a whole. `field` may be empty."""

    line: int
    field: str
    code: str
    detail: str

    @classmethod
    def of(cls, line: int, fault: Fault) -> "LineFault":
        """A fault of a field, at its line."""
        return cls(line=line, field=fault.field, code=fault.code, detail=fault.detail)

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "the file"
        return f"{where}, {self.field}: {self.detail}" if self.field else f"{where}: {self.detail}"


class BadArchive(Exception):
    """The archive can't be imported, and nothing of it was; `faults` names everything, by line."""

    def __init__(self, faults: list[LineFault]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.line, fault.field))
        super().__init__(f"{len(faults)} faults")


def decode(raw: bytes) -> AnyRecord | list[Fault]:
    """The record that a line holds, or everything that is wrong with it."""
    try:
        record: AnyRecord = _decoder.decode(raw)
        return record
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [Fault(field="", code="unparsable", detail=f"This is not JSON in UTF-8: {error}.")]
    value = loosely(raw)
    kind = value.pop("type", None)
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(KINDS)
        return [Fault(field="type", code="type", detail=f"One of {known}.")]
    return faults(value, KINDS[kind])


def loosely(raw: bytes) -> dict[str, Any]:
    """The line as a dict, whatever stands in it; empty when it is no JSON object."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def encode(record: Record) -> bytes:
    """The record as a line, without its line break; times in whole seconds, with Z."""
    return msgspec.json.encode(record)


def whole_seconds(moment: datetime) -> datetime:
    """A time as archives write it."""
    return moment.astimezone(UTC).replace(microsecond=0)
