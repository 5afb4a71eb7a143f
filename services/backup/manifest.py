"""What a backup says of itself: the first thing in its file, and what a restore holds it to."""

from typing import Annotated

import msgspec

FORMAT = 1
"""Of the file; a reader refuses a greater one."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the file; `sha256` in hex."""

    name: str
    size: int
    sha256: str


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What there was at the moment of the dump, counted in its own snapshot; `seq` is the head of each log."""

    revision: str
    installation: str
    epoch: int
    seq: list[int]
    accounts: int
    posts: int
    notifications: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`at` is ISO 8601 with Z, and nothing else: it goes into a statement. `media_url` empty: the photos are here."""

    format: Annotated[int, msgspec.Meta(ge=1)]
    release: str
    at: Annotated[str, msgspec.Meta(pattern=r"^[0-9T:Z-]{20}$")]
    postgres: int
    tools: str
    media_url: str
    census: Census
    parts: list[Part]
