"""The links in letters: signed when a letter is sent, so that none is stored, and good for one change of one state.

A link bears a stamp of the state that it is to change (`feed_v1.letter.stamp`); once that has changed, by the link
itself or otherwise, it is worth nothing. JWT like the tokens of shared.auth, told apart by `typ`: neither is the other.
"""

from datetime import datetime
from typing import Literal

import jwt
import msgspec

from shared import clock
from shared.errors import ChorusError

LinkKind = Literal["confirm", "recover"]

_ISSUER = "chorus"
LONGEST = 1000
"""Characters of a link's token at most: ours have some 200."""


class LinkEnded(ChorusError):
    """A link of a letter that was used, that something else overtook, that is too old, or that never was one."""

    code, status, retryable = "link_ended", 410, False
    title = "This link has been used, or is too old"
    remedy = "Ask for a new letter; only the newest one's link works."


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Whose state a link changes, and the stamp of that state."""

    account_id: int
    stamp: str


def sign_link(secret: str, kind: LinkKind, *, account_id: int, stamp: str, expires_at: datetime) -> str:
    """The token of a link."""
    claims = {
        "iss": _ISSUER,
        "typ": f"link:{kind}",
        "sub": str(account_id),
        "stamp": stamp,
        "exp": int(expires_at.timestamp()),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def read_link(secret: str, kind: LinkKind, token: str) -> Link:
    """What a link says. Raises LinkEnded for any fault, with the same words for all."""
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            issuer=_ISSUER,
            options={"require": ["exp", "sub", "typ", "stamp"], "verify_exp": False},  # below: by our clock
        )
        if claims["typ"] != f"link:{kind}" or claims["exp"] <= clock.unix():
            raise LinkEnded
        return Link(account_id=int(claims["sub"]), stamp=str(claims["stamp"]))
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, UnicodeError):
        raise LinkEnded from None
