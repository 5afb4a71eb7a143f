"""Letters: written with what makes them so, in one transaction; that they are sent is notify's to see to.

A letter names no link: that is signed when it is sent. What is past its time, or whose reason is gone, is sent no more.
"""

from datetime import datetime, timedelta
from typing import Literal

from services.feed.queries import QUERIES
from services.feed.rows import now
from shared.ids import new_id
from shared.postgres import Connection

Kind = Literal["confirm", "recover", "password_changed", "address_changed"]

GOOD_FOR: dict[Kind, timedelta] = {
    "confirm": timedelta(days=1),
    "recover": timedelta(hours=1),
    "password_changed": timedelta(days=1),
    "address_changed": timedelta(days=1),
}
"""How long a letter's link holds, and how long it is tried to send one."""


def fold(address: str) -> str:
    """What makes two spellings one address. Mail servers may tell cases apart before the @; none that is used does."""
    return address.lower()


async def write(
    connection: Connection, kind: Kind, account_id: int | None, address: str, *, stamp: str = "", at: datetime
) -> None:
    """A letter to this address is on its way once the caller's transaction commits. `stamp`: see shared.links."""
    await QUERIES.write_letter(
        connection,
        id=new_id(),
        kind=kind,
        account_id=account_id,
        address=address,
        stamp=stamp,
        created_at=at,
        expires_at=at + GOOD_FOR[kind],
    )


async def forget(connection: Connection) -> None:
    """Letters past their time are gone, sent or not."""
    await QUERIES.forget_letters(connection, now=now())
