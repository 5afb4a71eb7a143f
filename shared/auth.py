"""Credentials to Principal: signed, short-lived tokens that both services can read without asking each other.

A token names its session; whether that session has been revoked is the reader's to check (the feed in its own table,
notify in `feed_v1.session` and from then on by the log). JWT with HS256 and one key, RFC 7519.
"""

from datetime import UTC, datetime
from typing import Literal

import jwt
import msgspec

from shared import clock
from shared.errors import NotSignedIn

Kind = Literal["access", "cookie", "ticket"]

ACCESS_TTL = 3600
"""Seconds a bearer token lives; its session can be renewed for SESSION_TTL."""
TICKET_TTL = 60
"""Seconds in which a page must hand its ticket to the socket: it may stand in a log of addresses."""
SESSION_TTL = 30 * 86400
"""Seconds a session can be renewed, and a browser's cookie lives."""

_ISSUER = "chorus"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking: a member by id, with the session they use, until `expires_at` (UTC)."""

    account_id: int
    session_id: int
    expires_at: datetime
    kind: Kind


def issue(secret: str, kind: Kind, *, account_id: int, session_id: int, ttl: float) -> str:
    """A signed token of `kind` that ends in `ttl` seconds."""
    claims = {
        "iss": _ISSUER,
        "typ": kind,
        "sub": str(account_id),
        "sid": str(session_id),
        "exp": int(clock.unix() + ttl),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def verify(secret: str, token: str, *, kinds: tuple[Kind, ...]) -> Principal:
    """The Principal that `token` names; raises NotSignedIn for any fault, with the same words for all."""
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            issuer=_ISSUER,
            options={"require": ["exp", "sub", "sid", "typ"], "verify_exp": False},  # below: by our clock
        )
        kind = claims["typ"]
        if kind not in kinds or claims["exp"] <= clock.unix():
            raise NotSignedIn
        return Principal(
            account_id=int(claims["sub"]),
            session_id=int(claims["sid"]),
            expires_at=datetime.fromtimestamp(claims["exp"], tz=UTC),
            kind=kind,
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, UnicodeError):
        raise NotSignedIn("The credentials are not valid or have ended.") from None
