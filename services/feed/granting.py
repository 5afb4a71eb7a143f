"""Giving roles and taking them, each recorded with who did it and from where; and who has which.

A role is read from Postgres with each request that needs one: a memory of it would let a revoked one live on.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec

from services.feed.paging import Newest, Page, cursor
from services.feed.queries import QUERIES
from services.feed.roles import Role, check
from services.feed.rows import as_of, now
from shared.errors import Conflict, NotFound
from shared.ids import MAX_ID
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.wire import AsOf, Author, encode


class LastAdmin(Conflict):
    """The only admin can't stop being one: nobody could make another."""

    code = "last_admin"
    title = "There would be no admin left"
    remedy = "Make somebody else an admin first, or use `chorus admin grant` on the server."


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A member and their role."""

    account: Author
    role: Role


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a role. `by` is the admin who made it; null with origin `command`, where `operator` is the name of
    the account on the server that ran it."""

    id: str
    account: Author
    role: Role
    before: Role
    origin: Literal["command", "member"]
    by: Author | None
    operator: str | None
    at: datetime


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A member's role, and the positions it holds for."""

    role: Role
    as_of: AsOf


class Roles:
    """Reads, gives and takes roles."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of(self, account_id: int) -> Standing:
        """A member's role now."""

        async def attempt() -> Standing:
            async with acquire(self._pool) as connection:
                row = await QUERIES.role_of(connection, account_id=account_id)
                return Standing(role=row["role"] if row else "member", as_of=as_of(row))

        return await retrying(attempt)

    async def give(self, handle: str, role: Role, *, by: int | None = None, operator: str | None = None) -> Holder:
        """The member has this role; `by` is the admin who gives it, None a command of `operator`.

        Giving the role that somebody has changes nothing and records nothing. Raises NotFound, RoleNeeded when `by` is
        no admin (any more), and LastAdmin, which only a command may overrule.
        """

        async def attempt() -> Holder:
            async with transaction(self._pool) as connection:
                held = await QUERIES.hold_roles(connection, handle=handle)
                if by is not None:
                    check(next((row["role"] for row in held if row["id"] == by), "member"), "grant roles")
                member = next((row for row in held if row["handle"] == handle), None)
                if member is None:
                    raise NotFound(f"Nobody bears the handle {handle}.")
                account = Author(id=str(member["id"]), handle=handle, display_name=member["display_name"])
                if member["role"] == role:
                    return Holder(account=account, role=role)
                if by is not None and member["role"] == "admin" and sum(row["role"] == "admin" for row in held) == 1:
                    raise LastAdmin(f"{handle} is the only admin.")
                await change_role(connection, member["id"], member["role"], role, by=by, operator=operator)
                return Holder(account=account, role=role)

        return await retrying(attempt)

    async def holders(self, before: Newest | None, limit: int) -> Page:
        """Everybody with a role beyond a member's."""
        return await self._page(
            QUERIES.role_holders, before, limit, lambda row: Holder(account=_account(row, ""), role=row["role"])
        )

    async def grants(self, before: Newest | None, limit: int) -> Page:
        """Every grant, newest first."""
        return await self._page(QUERIES.role_grants, before, limit, _grant)

    async def _page(
        self, query: Any, before: Newest | None, limit: int, item: Callable[[asyncpg.Record], msgspec.Struct]
    ) -> Page:
        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = await query(
                    connection, before=before.id if before else MAX_ID, page=limit + 1
                )
                return found

        found = await retrying(attempt)
        shown = [row for row in found if row["id"] is not None][:limit]
        return Page(
            items=[encode(item(row)) for row in shown],
            next=cursor(Newest(id=shown[-1]["id"])) if len(found) > limit else None,
            as_of=as_of(found[0]),
        )


def _account(row: asyncpg.Record, of: str) -> Author:
    return Author(id=str(row[f"{of}id"]), handle=row[f"{of}handle"], display_name=row["display_name"])


def _grant(row: asyncpg.Record) -> Grant:
    by = None
    if row["by_id"] is not None:
        by = Author(id=str(row["by_id"]), handle=row["by_handle"], display_name=row["by_name"])
    return Grant(
        id=str(row["id"]),
        account=Author(id=str(row["account_id"]), handle=row["handle"], display_name=row["display_name"]),
        role=row["role"],
        before=row["before"],
        origin=row["origin"],
        by=by,
        operator=row["operator"],
        at=row["at"],
    )


async def give_up_role(connection: Connection, account_id: int) -> None:
    """Who leaves holds no role any more, and that is recorded. Raises LastAdmin."""
    role: Role = (await QUERIES.role_of(connection, account_id=account_id))["role"]
    if role == "member":
        return
    if role == "admin" and len(await QUERIES.hold_roles(connection, handle="")) == 1:  # holds every admin
        raise LastAdmin("You are the only admin: make somebody else one first.")
    await change_role(connection, account_id, role, "member", by=account_id, operator=None)


async def change_role(
    connection: Connection, account_id: int, before: Role, role: Role, *, by: int | None, operator: str | None
) -> None:
    """The one way in which somebody's role changes: on record. `by` None: a command of `operator` does it."""
    await QUERIES.set_role(connection, account_id=account_id, role=role)
    await QUERIES.record_grant(
        connection,
        account_id=account_id,
        role=role,
        before=before,
        origin="command" if by is None else "member",
        granted_by=by,
        operator=operator,
        at=now(),
    )
