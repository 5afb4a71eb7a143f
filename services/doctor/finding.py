"""One thing that was looked at."""

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`found` in words; `do` is what to do about it, and null when all is well or nothing needs doing."""

    what: str
    ok: bool
    found: str
    do: str | None = None


def good(what: str, found: str) -> Finding:
    """All is well."""
    return Finding(what=what, ok=True, found=found)


def bad(what: str, found: str, do: str) -> Finding:
    """Something is to be done."""
    return Finding(what=what, ok=False, found=found, do=do)
