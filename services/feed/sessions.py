"""Sessions: opened by a password, renewed for thirty days, ended at once.

A token says which session it belongs to; each use asks Postgres whether that session stands, because a memory of it
would let a revoked one live on in another process. What never changes is remembered: what a token says, and how a
member is called.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg
import msgspec

from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.telling import tell_one
from shared import events
from shared.auth import ACCESS_TTL, SESSION_TTL, TICKET_TTL, Kind, Principal, issue, verify
from shared.errors import NotSignedIn
from shared.ids import new_id
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.wire import Author


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in member, and the session through which they ask."""

    id: int
    author: Author
    session_id: int
    renewable_until: datetime
    kind: Kind


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A token and the seconds it lives."""

    token: str
    expires_in: int


_REMEMBERED = 10_000
"""Tokens, and names of members, kept in memory at most: some 10 MB."""

K = TypeVar("K")
V = TypeVar("V")


class Sessions:
    """Opens, checks and ends sessions."""

    def __init__(self, pool: Pool, secret: str) -> None:
        self._pool = pool
        self._secret = secret
        self._principals: OrderedDict[tuple[Kind, str], Principal] = OrderedDict()
        self._authors: OrderedDict[int, Author] = OrderedDict()

    async def open(self, account: Author, *, cookie: bool) -> Credentials:
        """A new session of this member, and its first credentials."""
        kind: Kind = "cookie" if cookie else "access"

        async def attempt() -> Credentials:
            session_id, at = new_id(), now()
            until = at + timedelta(seconds=SESSION_TTL)
            async with acquire(self._pool) as connection:
                await QUERIES.open_session(
                    connection,
                    id=session_id,
                    account_id=int(account.id),
                    kind="cookie" if cookie else "token",
                    created_at=at,
                    expires_at=until,
                )
            return self._issue(kind, int(account.id), session_id, until)

        return await retrying(attempt)

    def read(self, token: str, kind: Kind) -> Principal:
        """What a token says; whether its session stands is another question. Raises NotSignedIn."""
        known = self._principals.get((kind, token))
        if known is not None and known.expires_at > now():
            return known
        principal = verify(self._secret, token, kinds=(kind,))
        _remember(self._principals, (kind, token), principal)
        return principal

    def remembered(self, principal: Principal) -> Member | None:
        """The member behind a token as far as they are remembered; whether the session stands is not asked."""
        author = self._authors.get(principal.account_id)
        if author is None:
            return None
        return Member(
            id=principal.account_id,
            author=author,
            session_id=principal.session_id,
            renewable_until=principal.expires_at,
            kind=principal.kind,
        )

    async def member(self, principal: Principal) -> Member | None:
        """The member behind a token, or None when the session has ended."""

        async def attempt() -> asyncpg.Record | None:
            async with acquire(self._pool) as connection:
                row: asyncpg.Record | None = await QUERIES.standing_session(
                    connection, session_id=principal.session_id, account_id=principal.account_id, now=now()
                )
                return row

        row = await retrying(attempt)
        if row is None:
            return None
        author = Author(id=str(row["id"]), handle=row["handle"], display_name=row["display_name"])
        _remember(self._authors, row["id"], author)
        return Member(
            id=row["id"],
            author=author,
            session_id=principal.session_id,
            renewable_until=row["expires_at"],
            kind=principal.kind,
        )

    def renew(self, member: Member, *, cookie: bool) -> Credentials:
        """Fresh credentials of the same session, which never outlive it."""
        return self._issue("cookie" if cookie else "access", member.id, member.session_id, member.renewable_until)

    def ticket(self, member: Member) -> Credentials:
        """What a page hands to the socket."""
        ttl = TICKET_TTL
        token = issue(self._secret, "ticket", account_id=member.id, session_id=member.session_id, ttl=ttl)
        return Credentials(token=token, expires_in=ttl)

    async def revoke(self, member: Member) -> None:
        """Ends the session, and tells its sockets. Raises NotSignedIn when it had ended already."""
        event = events.SessionRevoked(account_id=str(member.id), session_id=str(member.session_id))

        async def attempt() -> bool:
            async with transaction(self._pool) as connection:
                ended = await QUERIES.revoke_session(connection, session_id=member.session_id, now=now())
                if ended is None:
                    return False
                await tell_one(connection, str(member.id), event, events.inbox_channels(str(member.id)))
                return True

        if not await retrying(attempt):
            raise NotSignedIn

    def _issue(self, kind: Kind, account_id: int, session_id: int, until: datetime) -> Credentials:
        longest = SESSION_TTL if kind == "cookie" else ACCESS_TTL
        ttl = int(max(1, min(longest, (until - now()).total_seconds())))
        token = issue(self._secret, kind, account_id=account_id, session_id=session_id, ttl=ttl)
        return Credentials(token=token, expires_in=ttl)


async def stands(connection: Connection, member: Member) -> bool:
    """Whether the session through which a member asks has not ended."""
    row = await QUERIES.standing_session(connection, session_id=member.session_id, account_id=member.id, now=now())
    return row is not None


def _remember(known: "OrderedDict[K, V]", key: K, value: V) -> None:
    known[key] = value
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
