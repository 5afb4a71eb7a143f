"""Members' e-mail addresses: one at most, of use for recovery alone, and theirs once a link in a letter says so.

Whose an address is shows to nobody who does not read its letters: setting one that somebody else has confirmed is
answered like any other, and only following the link tells.
"""

from datetime import datetime

import asyncpg
import msgspec
import regex

from services.feed import letters
from services.feed.accounts import Accounts, not_the_password
from services.feed.queries import QUERIES
from services.feed.rows import now
from shared.errors import Conflict, Fault
from shared.links import LinkEnded, read_link
from shared.postgres import Connection, Pool, acquire, retrying, transaction

LONGEST = 254
"""Characters of an address: RFC 5321, section 4.5.3.1.3, with its brackets taken off."""
# What HTML's <input type=email> takes (a dot-atom and a host name), with a dot in the host: letters leave this machine.
_ADDRESS = regex.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}+@(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z0-9]"
    r"(?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
)


class AddressTaken(Conflict):
    """The address belongs to another account, where it is confirmed; whoever followed the link reads its mail."""

    code = "address_taken"
    title = "This address belongs to another account"
    remedy = "Take it out of the other account first, or use another address."


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """A member's addresses: the confirmed one, and the one that waits to be; null: there is none."""

    address: str | None
    confirmed_at: datetime | None
    pending: str | None
    pending_since: datetime | None


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """An address, and whose it is now."""

    address: str
    handle: str


class Addresses:
    """Reads, sets, confirms and removes members' addresses."""

    def __init__(self, pool: Pool, accounts: Accounts, secret: str) -> None:
        self._pool = pool
        self._accounts = accounts
        self._secret = secret

    async def read(self, account_id: int) -> Email:
        """What a member gave."""

        async def attempt() -> Email:
            async with acquire(self._pool) as connection:
                return _email(await QUERIES.email_of(connection, account_id=account_id))

        return await retrying(attempt)

    async def give(self, account_id: int, address: str | None, password: str) -> Email:
        """The address waits to be confirmed by a letter; the confirmed one again: nothing waits; None: there is none.

        Raises Invalid when it is not their password.
        """
        version = await self._accounts.prove(account_id, password)

        async def attempt() -> Email:
            async with transaction(self._pool) as connection:
                held = await QUERIES.lock_account(connection, account_id=account_id, password_version=version)
                if held is None:
                    raise not_the_password("password")
                if address is None:
                    return await _remove(connection, account_id)
                return await _await(connection, account_id, address)

        return await retrying(attempt)

    async def confirm(self, token: str) -> Confirmed:
        """The address whose letter bore this link is its member's. Raises LinkEnded, AddressTaken."""
        link = read_link(self._secret, "confirm", token)
        if not link.stamp.isdecimal():
            raise LinkEnded

        async def attempt() -> Confirmed:
            at = now()
            async with transaction(self._pool) as connection:
                before = await QUERIES.lock_email(connection, account_id=link.account_id)
                if before is None or before["pending"] is None or str(before["version"]) != link.stamp:
                    raise LinkEnded
                row = await QUERIES.confirm_email(
                    connection,
                    account_id=link.account_id,
                    version=before["version"],
                    folded=letters.fold(before["pending"]),
                    now=at,
                )
                if before["address"] is not None:
                    await letters.write(connection, "address_changed", link.account_id, before["address"], at=at)
                return Confirmed(address=row["address"], handle=row["handle"])

        try:
            return await retrying(attempt)
        except asyncpg.UniqueViolationError:
            raise AddressTaken from None


def check_address(value: str, *, field: str = "address") -> list[Fault]:
    """What is wrong with an address; empty when a letter can be sent there."""
    if len(value) <= LONGEST and _ADDRESS.fullmatch(value):
        return []
    return [Fault(field=field, code="address", detail="That is no e-mail address that letters can be sent to.")]


async def _await(connection: Connection, account_id: int, address: str) -> Email:
    before = await QUERIES.lock_email(connection, account_id=account_id)
    if before is not None and before["address"] == address:
        return _email(await QUERIES.keep_email(connection, account_id=account_id) if before["pending"] else before)
    at = now()
    row = await QUERIES.await_email(connection, account_id=account_id, address=address, now=at)
    await letters.write(connection, "confirm", account_id, address, stamp=str(row["version"]), at=at)
    return _email(row)


async def _remove(connection: Connection, account_id: int) -> Email:
    dropped = await QUERIES.drop_email(connection, account_id=account_id)
    if dropped is not None and dropped["address"] is not None:
        await letters.write(connection, "address_changed", account_id, dropped["address"], at=now())
    return _email(None)


def _email(row: asyncpg.Record | None) -> Email:
    if row is None:
        return Email(address=None, confirmed_at=None, pending=None, pending_since=None)
    return Email(
        address=row["address"],
        confirmed_at=row["confirmed_at"],
        pending=row["pending"],
        pending_since=row["pending_since"],
    )
