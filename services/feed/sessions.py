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

from services.feed import rows
from services.feed.paging import Newest, Page, cursor
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.telling import tell
from shared import events
from shared.auth import ACCESS_TTL, SESSION_TTL, TICKET_TTL, Kind, Principal, issue, verify
from shared.errors import NotFound, NotSignedIn
from shared.eventlog.outbox import Draft
from shared.ids import MAX_ID, new_id
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.wire import Author, encode


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


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its owner sees it; `device` null: it said nothing, `seen_at` is true to the hour."""

    id: str
    kind: str
    device: str | None
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    current: bool


SEEN_EVERY = timedelta(hours=1)
"""How finely it is kept when a session was used: one write an hour for each, and nobody's day can be read from it."""
_TOLD_AT_ONCE = 1_000
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

    async def open(
        self, account: Author, *, password_version: int, cookie: bool, device: str | None = None
    ) -> Credentials | None:
        """A new session of this member, and its first credentials; None when their password was changed meanwhile."""
        kind: Kind = "cookie" if cookie else "access"

        async def attempt() -> Credentials | None:
            session_id, at = new_id(), now()
            until = at + timedelta(seconds=SESSION_TTL)
            async with acquire(self._pool) as connection:
                opened = await QUERIES.open_session(
                    connection,
                    id=session_id,
                    account_id=int(account.id),
                    password_version=password_version,
                    kind="cookie" if cookie else "token",
                    device=device,
                    created_at=at,
                    expires_at=until,
                )
            return None if opened is None else self._issue(kind, int(account.id), session_id, until)

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
            at = now()
            async with acquire(self._pool) as connection:
                row: asyncpg.Record | None = await QUERIES.standing_session(
                    connection, session_id=principal.session_id, account_id=principal.account_id, now=at
                )
                if row is not None and row["seen_at"] < at - SEEN_EVERY:
                    await QUERIES.session_seen(
                        connection, session_id=principal.session_id, now=at, before=at - SEEN_EVERY
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

    async def page(self, member: Member, before: Newest | None, limit: int) -> Page:
        """The member's sessions that stand, newest first, as JSON of OpenSession."""

        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = await QUERIES.list_sessions(
                    connection,
                    account_id=member.id,
                    now=now(),
                    before=before.id if before else MAX_ID,
                    page=limit + 1,
                )
                return found

        found = await retrying(attempt)
        shown = [row for row in found if row["id"] is not None][:limit]
        return Page(
            items=[encode(_session(row, member.session_id)) for row in shown],
            next=cursor(Newest(id=shown[-1]["id"])) if len(found) > limit else None,
            as_of=rows.as_of(found[0]),
        )

    async def revoke(self, member: Member) -> None:
        """Ends the session, and tells its sockets. Raises NotSignedIn when it had ended already."""
        if not await self._end(member, member.session_id):
            raise NotSignedIn

    async def end(self, member: Member, session_id: int) -> None:
        """Ends one of the member's sessions, and tells its sockets. Raises NotFound when none of them stands."""
        if not await self._end(member, session_id):
            raise NotFound("You have no such session.")

    async def end_others(self, member: Member) -> None:
        """Ends all of the member's sessions but the one that asks, and tells their sockets."""

        async def attempt() -> None:
            async with transaction(self._pool) as connection:
                await end_all(connection, member.id, but=member.session_id)

        await retrying(attempt)

    async def _end(self, member: Member, session_id: int) -> bool:
        async def attempt() -> bool:
            async with transaction(self._pool) as connection:
                ended = await QUERIES.end_session(connection, session_id=session_id, account_id=member.id, now=now())
                if ended is not None:
                    await _tell_ended(connection, member.id, [session_id])
                return ended is not None

        return await retrying(attempt)

    def _issue(self, kind: Kind, account_id: int, session_id: int, until: datetime) -> Credentials:
        longest = SESSION_TTL if kind == "cookie" else ACCESS_TTL
        ttl = int(max(1, min(longest, (until - now()).total_seconds())))
        token = issue(self._secret, kind, account_id=account_id, session_id=session_id, ttl=ttl)
        return Credentials(token=token, expires_in=ttl)


async def stands(connection: Connection, member: Member) -> bool:
    """Whether the session through which a member asks has not ended."""
    row = await QUERIES.standing_session(connection, session_id=member.session_id, account_id=member.id, now=now())
    return row is not None


async def end_all(connection: Connection, account_id: int, *, but: int | None) -> None:
    """All sessions of a member end, but for one (None: all), and their sockets are told: the caller's last statements.

    The account's row is locked by the caller, or a session that is being opened just now may be missed.
    """
    ended = await QUERIES.end_sessions(connection, account_id=account_id, but=but, now=now())
    await _tell_ended(connection, account_id, [row["id"] for row in ended])


async def _tell_ended(connection: Connection, account_id: int, session_ids: list[int]) -> None:
    account, channels = str(account_id), events.inbox_channels(str(account_id))
    drafts = [
        Draft(account, events.SessionRevoked(account_id=account, session_id=str(n)), channels) for n in session_ids
    ]
    for start in range(0, len(drafts), _TOLD_AT_ONCE):
        await tell(connection, drafts[start : start + _TOLD_AT_ONCE])


def _session(row: asyncpg.Record, current: int) -> OpenSession:
    return OpenSession(
        id=str(row["id"]),
        kind=row["kind"],
        device=row["device"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        expires_at=row["expires_at"],
        current=row["id"] == current,
    )


def _remember(known: "OrderedDict[K, V]", key: K, value: V) -> None:
    known[key] = value
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
