"""Accounts: who there is, how somebody becomes one, and how they prove that they are."""

from datetime import datetime

import asyncpg
import msgspec

from services.feed import letters, sessions
from services.feed.passwords import Passwords
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.sessions import Member
from shared.errors import Conflict, Fault, Invalid
from shared.ids import new_id
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.wire import Author


class HandleTaken(Conflict):
    """Somebody else bears this handle, or did until a while ago."""

    code = "handle_taken"
    title = "Somebody else bears this handle"
    remedy = "Choose another handle."


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """A member who gave their password, and which password that was: a session opens for no other."""

    author: Author
    password_version: int


class Accounts:
    """Makes accounts, finds them, and changes their passwords."""

    def __init__(self, pool: Pool, passwords: Passwords) -> None:
        self._pool = pool
        self._passwords = passwords

    async def sign_up(self, handle: str, display_name: str, password: str) -> Recognised:
        """A new member. Raises HandleTaken, and Invalid for a password that is guessed first."""
        hashed = await self._passwords.choose(password, (handle, display_name))

        async def attempt() -> Author:
            account_id = new_id()
            async with transaction(self._pool) as connection:
                await QUERIES.create_account(
                    connection,
                    id=account_id,
                    handle=handle,
                    display_name=display_name,
                    password_hash=hashed,
                    created_at=now(),
                )
                # After the insert, which waits for whoever is giving the handle up just now.
                if await QUERIES.handle_is_held(connection, handle=handle, now=now()):
                    raise _taken()
            return Author(id=str(account_id), handle=handle, display_name=display_name)

        try:
            return Recognised(author=await retrying(attempt), password_version=1)
        except asyncpg.UniqueViolationError:
            raise _taken() from None

    async def recognise(self, handle: str, password: str) -> Recognised | None:
        """The member whose password this is; None for an unknown handle and for a wrong password, as slowly."""

        async def attempt() -> asyncpg.Record | None:
            async with acquire(self._pool) as connection:
                row: asyncpg.Record | None = await QUERIES.account_by_handle(connection, handle=handle)
                return row

        row = await retrying(attempt)
        if not await self._passwords.matches(row and row["password_hash"], password) or row is None:
            return None
        author = Author(id=str(row["id"]), handle=row["handle"], display_name=row["display_name"])
        return Recognised(author=author, password_version=row["password_version"])

    async def prove(self, account_id: int, password: str) -> int:
        """The version of the member's password, which this is. Raises Invalid, naming `password`."""
        row = await self.by_id(account_id)
        if not await self._passwords.matches(row and row["password_hash"], password) or row is None:
            raise not_the_password("password")
        version: int = row["password_version"]
        return version

    async def change_password(self, member: Member, current: str, new: str) -> None:
        """The member's password is `new`, and all their other sessions have ended.

        Raises Invalid, naming `current` when it is not the password, or `password` when `new` is guessed first.
        """
        row = await self.by_id(member.id)
        if not await self._passwords.matches(row and row["password_hash"], current) or row is None:
            raise not_the_password("current")
        if not await self.set_password(row, new, but=member.session_id, at=now()):
            raise not_the_password("current")  # somebody changed it meanwhile: it no longer is

    async def set_password(self, row: asyncpg.Record, new: str, *, but: int | None, at: datetime) -> bool:
        """The password of `row`, as it was read, is `new`; all sessions but one (None: all) ended, and a letter tells.

        False when another one was set meanwhile. Raises Invalid for one that is guessed first.
        """
        hashed = await self._passwords.choose(new, _about(row))

        async def attempt() -> bool:
            async with transaction(self._pool) as connection:
                changed = await QUERIES.set_password(
                    connection, account_id=row["id"], password_version=row["password_version"], password_hash=hashed
                )
                if changed is None:
                    return False
                if row["address"] is not None:
                    await letters.write(connection, "password_changed", row["id"], row["address"], at=at)
                await sessions.end_all(connection, row["id"], but=but)
                return True

        return await retrying(attempt)

    async def by_id(self, account_id: int) -> asyncpg.Record | None:
        """A member's row of `account_by_id`; None when there is none, or they left."""

        async def attempt() -> asyncpg.Record | None:
            async with acquire(self._pool) as connection:
                row: asyncpg.Record | None = await QUERIES.account_by_id(connection, account_id=account_id)
                return row

        return await retrying(attempt)


async def ids_by_handle(connection: Connection, handles: list[str]) -> dict[str, int]:
    """The accounts behind these handles; unknown ones are left out."""
    if not handles:
        return {}
    rows = await QUERIES.accounts_by_handles(connection, handles=handles)
    return {row["handle"]: row["id"] for row in rows}


def not_the_password(field: str) -> Invalid:
    """Who asks is signed in, so this is no 401: their session stands."""
    return Invalid(errors=[Fault(field=field, code="wrong", detail="That is not your password.")])


def _about(row: asyncpg.Record) -> list[str]:
    return [row["handle"], row["display_name"], *([row["address"]] if row["address"] else [])]


def _taken() -> HandleTaken:
    fault = Fault(field="handle", code="taken", detail="Somebody else bears this handle.")
    return HandleTaken(errors=[fault])
