"""Entity tags: two answers with one tag differ in nothing but positions (RFC 9110, 8.8.3 and 13.1.2)."""

import hashlib


def entity_tag(body: bytes, viewer: int | None) -> str:
    """A weak tag of what `viewer` (None: a guest) gets; `body` without positions, which move with every event."""
    made = hashlib.blake2b(body, digest_size=12, key=str(viewer).encode() if viewer else b"")
    return f'W/"{made.hexdigest()}"'


def matches(header: str | None, etag: str) -> bool:
    """Whether If-None-Match names this tag, by weak comparison."""
    if header is None:
        return False
    bare = etag.removeprefix("W/")
    return header.strip() == "*" or any(part.strip().removeprefix("W/") == bare for part in header.split(","))
