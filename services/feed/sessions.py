"""Sessions: opened by a password, renewed for thirty days, ended at once.

A token says which session it belongs to; each use asks Postgres whether that session stands, because a memory of it
would let a revoked one live on in another process.
"""

from datetime import datetime, timedelta

import asyncpg
import msgspec

from services.feed.queries import QUERIES
from services.feed.rows import now
from shared import events
from shared.auth import ACCESS_TTL, SESSION_TTL, TICKET_TTL, Kind, Principal, issue, verify
from shared.errors import NotSignedIn
from shared.eventlog import outbox
from shared.ids import new_id
from shared.postgres import Pool, acquire, retrying, transaction
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


class Sessions:
    """Opens, checks and ends sessions."""

    def __init__(self, pool: Pool, secret: str) -> None:
        self._pool = pool
        self._secret = secret

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
        return verify(self._secret, token, kinds=(kind,))

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
                await outbox.append(
                    connection, key=str(member.id), event=event, channels=events.inbox_channels(str(member.id))
                )
                return True

        if not await retrying(attempt):
            raise NotSignedIn

    def _issue(self, kind: Kind, account_id: int, session_id: int, until: datetime) -> Credentials:
        longest = SESSION_TTL if kind == "cookie" else ACCESS_TTL
        ttl = int(max(1, min(longest, (until - now()).total_seconds())))
        token = issue(self._secret, kind, account_id=account_id, session_id=session_id, ttl=ttl)
        return Credentials(token=token, expires_in=ttl)
