"""Keyset paging: opaque cursors, made here and checked here, and the page that they begin.

A cursor names the list it belongs to and the last row's keys, so that it can't be used in another list.
"""

import base64
import binascii
from typing import TypeVar

import msgspec

from shared.errors import Fault, Invalid
from shared.ids import MAX_ID
from shared.wire import AsOf

LIMIT = 20
MOST = 100
"""Items of one page at most: some 600 KB of posts at their longest."""
_LONGEST = 600

K = TypeVar("K", bound="Keys")


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, array_like=True, tag_field="of"):
    """The keys of a page's last row; each list has its own."""


class Newest(Keys, frozen=True, kw_only=True, tag="n"):
    """Posts, newest first: those before this id."""

    id: int


class Hottest(Keys, frozen=True, kw_only=True, tag="h"):
    """Posts, hottest first: those after (hot, id)."""

    hot: float
    id: int


class Oldest(Keys, frozen=True, kw_only=True, tag="o"):
    """Comments, oldest first: those after this id."""

    id: int


class LongestWaiting(Keys, frozen=True, kw_only=True, tag="w"):
    """Stories in review, who waited longest first: those after (milliseconds since 1970, id)."""

    at: int
    id: int


class MostFollowed(Keys, frozen=True, kw_only=True, tag="p"):
    """Topics, the most followed first: those after (people, slug)."""

    people: int
    slug: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list: items as JSON, the cursor of the next page (null: there is none), the positions."""

    items: list[bytes]
    next: str | None
    as_of: AsOf


def cursor(keys: Keys) -> str:
    """The opaque form of `keys`."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode().rstrip("=")


def keys_of(text: str | None, kind: type[K]) -> K | None:
    """What a cursor says, or None without one. Raises Invalid for one that this list never gave."""
    if text is None:
        return None
    try:
        if len(text) > _LONGEST:
            raise ValueError
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        keys = msgspec.json.decode(raw, type=kind)
        if not 0 <= getattr(keys, "id", 0) <= MAX_ID or not 0 <= getattr(keys, "people", 0) < 1 << 31:
            raise ValueError
        if not 0 <= getattr(keys, "at", 0) < 1 << 42:
            raise ValueError
        if "\0" in getattr(keys, "slug", ""):
            raise ValueError
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        fault = Fault(field="before", code="cursor", detail="This list never gave such a cursor.")
        raise Invalid(errors=[fault]) from None
    return keys
