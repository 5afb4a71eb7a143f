"""What members write, read: tags, mentions and links in a body, and what text is let in at the door.

Pure functions. Nothing is trimmed, repaired or rewritten: a text is taken as it is or refused with its faults.
Every pattern is possessive, because a backtracking one lets a single body of 5,000 characters stop the process.
"""

from typing import TypeAlias

import msgspec
import regex

from shared.errors import Fault
from shared.slugs import SLUG_MAX, fold

MAX_TAG = SLUG_MAX
"""Code points of a tag. A longer run is plain text: cutting it would be a repair."""
# Least and most code points of what members write.
TITLE_LENGTH = (1, 200)
BODY_LENGTH = (1, 5000)
WARNING_LENGTH = (1, 200)
ALT_LENGTH = (1, 1500)
TOPIC_NAME_LENGTH = (1, 100)
DESCRIPTION_LENGTH = (1, 1000)
HANDLE_LENGTH = (3, 30)
DISPLAY_NAME_LENGTH = (1, 80)

# Scripts written without spaces: a tag may stand directly after one of their letters. By script extensions, so that
# marks of several scripts (the long vowel mark of Japanese) count too.
_SPACELESS = "".join(
    rf"\p{{scx={script}}}"
    for script in (
        *("Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"),
        *("Javanese", "Balinese", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet"),
    )
)
_WORD = r"\p{L}\p{M}\p{Nd}_"
# A mark belongs to the letter before it, so the look back passes over marks; one may not begin a tag, where it would
# belong to the # itself (as in the keycap emoji).
_BEFORE_TAG = rf"(?<![[\p{{L}}\p{{Nd}}]--[{_SPACELESS}]]\p{{M}}*|\p{{Nd}}\p{{M}}*|[#/])"
_BEFORE_MENTION = rf"(?<![[\p{{L}}\p{{Nd}}]--[{_SPACELESS}]]\p{{M}}*|\p{{Nd}}\p{{M}}*|[_@/])"
_TOKEN = regex.compile(
    rf"""
      (?<link> (?<![[\p{{L}}\p{{Nd}}_]--[{_SPACELESS}]]) (?i:https?):// (?=[\p{{L}}\p{{Nd}}\[]) )
    | (?<tag> {_BEFORE_TAG} \# (?!\p{{M}}) [{_WORD}]++ (?: -[{_WORD}]++ )*+ )
    | (?<mention> {_BEFORE_MENTION} @ [A-Za-z0-9_]++ (?! [{_WORD}] | @[\p{{L}}\p{{Nd}}] ) )
    """,
    regex.VERBOSE | regex.VERSION1,
)
_LETTER = regex.compile(r"\p{L}")
_NOT_IN_LINKS = regex.compile(r"[\s\p{Cc}\p{Cs}<>\"“”„«»、。「」『』（）【】《》，；：！？]")
_AFTER_LINK = frozenset(".,:;!?'’*_~…")
_OPENED_BY = {")": "(", "]": "[", "}": "{"}

_HANDLE = regex.compile(r"[a-z0-9_]*+")
# Spaces, what nobody sees, and the letters that are drawn as nothing.
_VISIBLE = regex.compile(r"[^\p{Z}\p{C}\p{M}\u115F\u1160\u2800\u3164\uFFA0]", regex.VERSION1)
_CONTROL = regex.compile(r"[\p{Cc}--[\t\n\r]]|\r(?!\n)", regex.VERSION1)
_LINE_BREAKS = regex.compile(r"[\p{Cc}\u2028\u2029]")
# They turn the letters round a name about, so that it reads as somebody else's.
_DIRECTION = regex.compile(r"[\u202A-\u202E\u2066-\u2069]")


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A hashtag; `start` and `end` count code points and include the #. `tag` is the author's spelling without it."""

    start: int
    end: int
    slug: str
    tag: str


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """An @handle, in lower case; whether somebody bears it is the caller's to find out."""

    start: int
    end: int
    handle: str


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """An http or https address, exactly as written."""

    start: int
    end: int
    url: str


Entity: TypeAlias = Tag | Mention | Link


def path_slug(spelling: str) -> str | None:
    """The slug that a spelling in an address asks for; None when it is longer than any topic's."""
    return fold(spelling) if 0 < len(spelling) <= MAX_TAG else None


def tag_slug(tag: str) -> str | None:
    """The slug of a tag as its author spells it, without the #; None when it is not a tag."""
    match = _TOKEN.fullmatch("#" + tag)
    if match is None or match["tag"] is None or len(tag) > MAX_TAG or not _LETTER.search(tag):
        return None
    slug = fold(tag)
    # A few letters fold to several (an Arabic ligature to eighteen), and some digits with marks to nothing.
    return slug if 0 < len(slug) <= SLUG_MAX else None


def entities(body: str) -> list[Entity]:
    """Tags, mentions and links of a body in its order, never overlapping; offsets count code points.

    In time proportional to the body: a token ends where the next search begins, and no pattern backtracks.
    """
    found: list[Entity] = []
    at = 0
    while match := _TOKEN.search(body, at):
        start, at = match.span()
        if match["link"] is not None:
            at = _end_of_link(body, at)
            found.append(Link(start=start, end=at, url=body[start:at]))
        elif match["tag"] is not None:
            tag = body[start + 1 : at]
            slug = tag_slug(tag)
            if slug is not None:
                found.append(Tag(start=start, end=at, slug=slug, tag=tag))
        elif HANDLE_LENGTH[0] < at - start <= HANDLE_LENGTH[1] + 1:
            found.append(Mention(start=start, end=at, handle=body[start + 1 : at].lower()))
    return found


def check_text(value: str, *, field: str, minimum: int = 1, maximum: int, single_line: bool = False) -> list[Fault]:
    """What is wrong with a text; empty when it can be taken as it is. Lengths count code points.

    Refused: lone surrogates, NUL and other control characters (tabs, newlines and CR LF pass in texts of several
    lines), too short or too long, and, unless `minimum` is 0, a text in which there is nothing to see.
    """
    if any("\ud800" <= character <= "\udfff" for character in value):
        # Nothing else is asked of such a text: it is not Unicode, and could not even be repeated in an answer.
        return [Fault(field=field, code="surrogate", detail="Half of a surrogate pair is not a character.")]
    faults = []
    bad = (_LINE_BREAKS if single_line else _CONTROL).search(value)
    if bad is not None:
        detail = f"U+{ord(bad[0]):04X} at {bad.start()} can't be part of this text."
        faults.append(Fault(field=field, code="control_character", detail=detail))
    if len(value) > maximum:
        detail = f"At most {maximum:,} characters; these are {len(value):,}."
        faults.append(Fault(field=field, code="too_long", detail=detail))
    if len(value) < minimum:
        faults.append(Fault(field=field, code="too_short", detail=f"At least {minimum}."))
    elif minimum and bad is None and not _VISIBLE.search(value):
        faults.append(Fault(field=field, code="blank", detail="There is nothing to see in it."))
    return faults


def check_handle(value: str, *, field: str = "handle") -> list[Fault]:
    """What is wrong with a handle: lower-case a to z, digits and `_`, 3 to 30 of them. `member1` is one."""
    low, high = HANDLE_LENGTH
    if _HANDLE.fullmatch(value) and low <= len(value) <= high:
        return []
    detail = f"{low} to {high} of a to z in lower case, digits and _."
    return [Fault(field=field, code="handle", detail=detail)]


def check_display_name(value: str, *, field: str = "display_name") -> list[Fault]:
    """What is wrong with a display name: one line of 1 to 80 characters, read in the direction they are in."""
    low, high = DISPLAY_NAME_LENGTH
    faults = check_text(value, field=field, minimum=low, maximum=high, single_line=True)
    if not faults and _DIRECTION.search(value):
        detail = "It turns the direction of writing about."
        faults.append(Fault(field=field, code="direction", detail=detail))
    return faults


def check_slug(value: str, *, field: str = "topic") -> list[Fault]:
    """What is wrong with a topic asked for, in any spelling."""
    if tag_slug(value) is not None:
        return []
    detail = f"Letters, digits, - and _, at least one letter, at most {MAX_TAG} characters."
    return [Fault(field=field, code="topic", detail=detail)]


def _end_of_link(body: str, host: int) -> int:
    """Where the link with its host at `host` ends: before space, quotes, a bracket that it never opened, and the
    punctuation that closes the sentence around it."""
    opened: list[str] = []
    end = host
    while end < len(body) and not _NOT_IN_LINKS.match(body, end):
        if body[end] in "([{":
            opened.append(body[end])
        elif body[end] in _OPENED_BY and (not opened or opened.pop() != _OPENED_BY[body[end]]):
            break
        end += 1
    while body[end - 1] in _AFTER_LINK:
        end -= 1
    return end
