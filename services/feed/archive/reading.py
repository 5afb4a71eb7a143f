"""Reads an archive and finds everything that is wrong with it, line by line, before anybody touches the database.

Owns what can be told from the file alone: shape, texts, tags, names that occur twice or nowhere. Photos are looked at
in `photos`, what clashes with the community's present in `plan`.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from msgspec import UNSET, UnsetType

from services.feed import markdown, text
from services.feed.archive.records import (
    KINDS,
    LINE_BYTES,
    VERSION,
    Archive,
    Comment,
    LineFault,
    Member,
    Membership,
    Post,
    Reaction,
    Record,
    Topic,
    decode,
    loosely,
)
from shared import clock
from shared.errors import Fault

R = TypeVar("R", bound=Record)
Report = Callable[[str, int, int], None]
"""Told (what is being done, how much is done, how much there is), for a progress bar."""

_AHEAD = timedelta(minutes=5)
"""How far the clock that wrote the archive may be ahead of ours."""


class Line(NamedTuple):
    """A record and where it stands."""

    number: int
    record: Record


class Contents:
    """An archive's lines, by kind, in the order of the file."""

    def __init__(self, folder: Path, lines: list[Line]) -> None:
        self.folder = folder
        self._lines: dict[type[Record], list[Line]] = {kind: [] for kind in KINDS.values()}
        for line in lines:
            self._lines[type(line.record)].append(line)

    def each(self, kind: type[R]) -> Iterator[tuple[int, R]]:
        """(line number, record) for every record of this kind."""
        for number, record in self._lines[kind]:
            yield number, cast("R", record)

    @property
    def name(self) -> str:
        """The archive's name; empty when no line gives it one."""
        return next((record.name for _, record in self.each(Archive)), "")

    def moments(self) -> list[datetime]:
        """When its posts and comments were written."""
        return [
            *(post.created_at for _, post in self.each(Post)),
            *(comment.created_at for _, comment in self.each(Comment)),
        ]


def read(
    path: Path, *, reaction_kinds: tuple[str, ...], report: Report = lambda *_: None
) -> tuple[Contents, list[LineFault]]:
    """What stands in the archive at `path`, and everything that is wrong with it by itself.

    With faults the contents are the lines that could be read: good for finding further faults, not for loading.
    Raises OSError when the file can't be read.
    """
    lines: list[Line] = []
    faults: list[LineFault] = []
    names = _Names()
    size, done = path.stat().st_size, 0
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(LINE_BYTES + 1), b""), 1):
            done += len(raw)
            if number % 500 == 0:
                report("Reading", done, size)
            if len(raw) > LINE_BYTES:
                fault = Fault(field="", code="too_long", detail=f"A line has at most {LINE_BYTES:,} bytes.")
                faults.append(LineFault.of(number, fault))
                break  # where the next line begins is anybody's guess
            if not raw.strip():
                continue
            found = decode(raw)
            if isinstance(found, list):
                faults += [LineFault.of(number, fault) for fault in found]
                names.learn_loosely(raw)
                continue
            lines.append(Line(number, found))
            faults += [LineFault.of(number, fault) for fault in names.learn(found, number)]
    report("Reading", size, size)
    faults += _opening(lines, faults)
    loops = names.loops()
    for number, record in lines:
        found_here = [*check_record(record, reaction_kinds), *names.unknown(record)]
        if isinstance(record, Comment) and record.ref in loops:
            found_here.append(Fault(field="parent", code="loop", detail="It answers itself, by whatever detour."))
        faults += [LineFault.of(number, fault) for fault in found_here]
    return Contents(path.parent, lines), faults


class _Names:
    """What is named where: each name once, and each that is used somewhere."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], int] = {}
        self._post_of: dict[str, str] = {}
        self._parent_of: dict[str, str | None] = {}

    def learn_loosely(self, raw: bytes) -> None:
        """A line with faults of its own is known all the same, so that those who name it aren't faulted too."""
        value = loosely(raw)
        name = value.get("slug" if value.get("type") == "topic" else "ref")
        if isinstance(name, str):
            self._seen.setdefault((str(value.get("type")), name), 0)

    def learn(self, record: Record, number: int) -> Iterator[Fault]:
        if isinstance(record, Comment):
            self._post_of.setdefault(record.ref, record.post)
            self._parent_of.setdefault(record.ref, record.parent)
        for field, name in _claims(record):
            first = self._seen.setdefault(name, number)
            if first != number:
                detail = f"This stands already in line {first}." if first else "This stands already above."
                yield Fault(field=field, code="duplicate", detail=detail)

    def loops(self) -> set[str]:
        """Comments that answer themselves, by whatever detour."""
        standing: set[str] = set()
        looping: set[str] = set()
        for ref in self._parent_of:
            walked: dict[str, None] = {}
            at: str | None = ref
            while at is not None and at not in standing and at not in looping and at not in walked:
                walked[at] = None
                at = self._parent_of.get(at)
            (looping if at in walked or at in looping else standing).update(walked)
        return looping

    def unknown(self, record: Record) -> Iterator[Fault]:
        for field, kind, name in _uses(record):
            if (kind, name) not in self._seen:
                detail = f"No line of type {kind} has the name {name[:60]!r}."
                yield Fault(field=field, code="unknown_ref", detail=detail)
        if isinstance(record, Comment) and record.parent is not None:
            above = self._post_of.get(record.parent, record.post)
            if above != record.post and ("post", above) in self._seen:
                yield Fault(field="parent", code="other_post", detail="It stands under another post.")


def _claims(record: Record) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names that this record takes, with the field that says so."""
    match record:
        case Archive():
            yield "type", ("archive", "")
        case Topic(slug=slug):
            yield "slug", ("topic", slug)
        case Member(ref=ref, handle=handle):
            yield "ref", ("member", ref)
            yield "handle", ("handle", handle)
        case Membership(member=member, topic=topic):
            yield "topic", ("membership", member, topic)
        case Post(ref=ref):
            yield "ref", ("post", ref)
        case Comment(ref=ref):
            yield "ref", ("comment", ref)
        case Reaction(post=post, comment=comment, member=member):
            yield "member", ("reaction", str(post), str(comment), member)


def _uses(record: Record) -> Iterator[tuple[str, str, str]]:
    """The names that this record builds on: (field, type, name)."""
    match record:
        case Membership(member=member, topic=topic):
            yield "member", "member", member
            yield "topic", "topic", topic
        case Post(author=author, topics=topics):
            yield "author", "member", author
            for place, slug in enumerate(topics):
                yield f"topics.{place}", "topic", slug
        case Comment(author=author, post=post, parent=parent):
            yield "author", "member", author
            yield "post", "post", post
            if parent is not None:
                yield "parent", "comment", parent
        case Reaction(post=post, comment=comment, member=member):
            yield "member", "member", member
            if not isinstance(post, UnsetType):
                yield "post", "post", post
            if not isinstance(comment, UnsetType):
                yield "comment", "comment", comment


def _opening(lines: list[Line], faults: list[LineFault]) -> Iterator[LineFault]:
    first = lines[0].record if lines else None
    if not isinstance(first, Archive) and not any(fault.line == 1 for fault in faults):
        detail = f'The first line is {{"type": "archive", "version": {VERSION}, "name": …}}.'
        yield LineFault(line=1, field="type", code="no_archive", detail=detail)


def check_record(record: Record, reaction_kinds: tuple[str, ...]) -> Iterator[Fault]:
    """What is wrong with a record by itself, beyond its shape."""
    match record:
        case Archive(version=version) if version != VERSION:
            yield Fault(field="version", code="version", detail=f"This release reads version {VERSION}.")
        case Topic():
            yield from _check_topic(record)
        case Member(handle=handle, display_name=display_name):
            yield from text.check_handle(handle)
            yield from text.check_display_name(display_name)
        case Post():
            yield from _check_post(record)
        case Comment(body=body):
            yield from _length("body", body, text.BODY_LENGTH)
            yield from _check_times(record)
        case Reaction(post=post, comment=comment, kind=kind):
            if (post is UNSET) == (comment is UNSET):
                yield Fault(field="post", code="target", detail="Exactly one of post and comment.")
            if kind not in reaction_kinds:
                detail = f"One of {', '.join(reaction_kinds)}."
                yield Fault(field="kind", code="unknown_value", detail=detail)
        case _:
            return


def _check_topic(topic: Topic) -> Iterator[Fault]:
    slug = text.tag_slug(topic.tag)
    if slug is None:
        yield Fault(field="tag", code="tag", detail="This could not be written as a hashtag.")
    elif slug != topic.slug:
        yield Fault(field="slug", code="slug", detail=f"The tag folds to {slug!r}.")
    yield from _length("name", topic.name, text.TOPIC_NAME_LENGTH, single_line=True)
    yield from _length("description", topic.description, text.DESCRIPTION_LENGTH)


def _check_post(post: Post) -> Iterator[Fault]:
    yield from _length("title", post.title, text.TITLE_LENGTH, single_line=True)
    yield from _length("body", post.body, markdown.STORY_LENGTH if post.kind == "story" else text.BODY_LENGTH)
    yield from _length("content_warning", post.content_warning, text.WARNING_LENGTH, single_line=True)
    for place, slug in enumerate(post.topics):
        if slug in post.topics[:place]:
            yield Fault(field=f"topics.{place}", code="duplicate", detail="A topic is asked for once.")
    for place, photo in enumerate(post.media):
        yield from _length(f"media.{place}.alt", photo.alt, text.ALT_LENGTH)
    yield from _check_times(post)


def _check_times(record: Post | Comment) -> Iterator[Fault]:
    now = clock.now()
    for field in ("created_at", "edited_at"):
        moment = getattr(record, field)
        if moment is not UNSET and not 1970 < moment.year < 2100:
            yield Fault(field=field, code="time", detail="Between 1971 and now.")
        elif moment is not UNSET and moment > now + _AHEAD:
            yield Fault(field=field, code="time", detail="This has not come yet.")


def _length(
    field: str, value: str | UnsetType | None, bounds: tuple[int, int], *, single_line: bool = False
) -> list[Fault]:
    if value is None or isinstance(value, UnsetType):
        return []
    low, high = bounds
    return text.check_text(value, field=field, minimum=low, maximum=high, single_line=single_line)
