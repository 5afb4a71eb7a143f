"""Accounts: who there is, and how somebody becomes one."""

import asyncpg

from services.feed.passwords import Passwords
from services.feed.queries import QUERIES
from services.feed.rows import now
from shared.errors import Conflict, Fault
from shared.ids import new_id
from shared.postgres import Connection, Pool, acquire, retrying
from shared.wire import Author


class HandleTaken(Conflict):
    """Somebody else bears this handle."""

    code = "handle_taken"
    title = "Somebody else bears this handle"
    remedy = "Choose another handle."


class Accounts:
    """Makes accounts and finds them."""

    def __init__(self, pool: Pool, passwords: Passwords) -> None:
        self._pool = pool
        self._passwords = passwords

    async def sign_up(self, handle: str, display_name: str, password: str) -> Author:
        """A new member. Raises HandleTaken."""
        hashed = await self._passwords.hash(password)

        async def attempt() -> Author:
            account_id = new_id()
            async with acquire(self._pool) as connection:
                await QUERIES.create_account(
                    connection,
                    id=account_id,
                    handle=handle,
                    display_name=display_name,
                    password_hash=hashed,
                    created_at=now(),
                )
            return Author(id=str(account_id), handle=handle, display_name=display_name)

        try:
            return await retrying(attempt)
        except asyncpg.UniqueViolationError:
            fault = Fault(field="handle", code="taken", detail="Somebody else bears this handle.")
            raise HandleTaken(errors=[fault]) from None

    async def recognise(self, handle: str, password: str) -> Author | None:
        """The member whose password this is; None for an unknown handle and for a wrong password, as slowly."""

        async def attempt() -> asyncpg.Record | None:
            async with acquire(self._pool) as connection:
                row: asyncpg.Record | None = await QUERIES.account_by_handle(connection, handle=handle)
                return row

        row = await retrying(attempt)
        if not await self._passwords.matches(row and row["password_hash"], password) or row is None:
            return None
        return Author(id=str(row["id"]), handle=row["handle"], display_name=row["display_name"])


async def ids_by_handle(connection: Connection, handles: list[str]) -> dict[str, int]:
    """The accounts behind these handles; unknown ones are left out."""
    if not handles:
        return {}
    rows = await QUERIES.accounts_by_handles(connection, handles=handles)
    return {row["handle"]: row["id"] for row in rows}
