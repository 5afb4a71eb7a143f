"""Inboxes: what is written into them under their locks, what is read from them, and how far they were read.

Every write locks the inboxes it touches first, by member id, and tells each inbox's channel last. Counts are computed
under the lock and written as absolute values, so that any two readers agree.
"""

from collections.abc import AsyncIterable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from services.notify.inbox.recipients import Notice
from shared import clock
from shared.errors import Fault, NotFound
from shared.eventlog import outbox
from shared.eventlog.cursor import head
from shared.events import Event, InboxRead, NotificationChanged, NotificationRemoved, inbox_channels
from shared.faults import reached
from shared.ids import MAX_ID, new_id
from shared.postgres import Connection, Pool, acquire, load_queries, retrying, transaction
from shared.wire import AsOf, Author, Notification

AT_ONCE = 1_000
"""Lines that one event says are gone: a page's likes are without end, an event's bytes are not."""

queries = load_queries(Path(__file__).parent.parent / "sql" / "inbox.sql")


async def rows_of(found: AsyncIterable[Any]) -> list[Any]:
    """All rows of a named query that gives many."""
    return [row async for row in found]


Told: TypeAlias = tuple[int, Event, str | None]
"""What happened to whose inbox, and the request that caused it."""


class State(msgspec.Struct, kw_only=True):
    """One locked inbox."""

    unread: int
    read_up_to: int
    last_id: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of an inbox, newest first; `next` goes into `before` for the following page, null at the end."""

    items: list[Notification]
    next: str | None
    unread: int
    as_of: AsOf


class ReadUpTo(msgspec.Struct, frozen=True, kw_only=True):
    """How far an inbox has been read, and how many are unread."""

    unread: int
    up_to: str


class Inboxes:
    """Some inboxes, locked until the transaction ends.

    `add` and `remove` return what happened to whom, as events with absolute counts; `save` writes the counts.
    """

    def __init__(self, connection: Connection, states: dict[int, State]) -> None:
        self._connection = connection
        self._states = states

    @classmethod
    async def lock(cls, connection: Connection, account_ids: Collection[int]) -> "Inboxes":
        """The inboxes of these members, made where missing."""
        ids = sorted(account_ids)
        await queries.make_inboxes(connection, ids=ids)
        rows = await rows_of(queries.lock_inboxes(connection, ids=ids))
        await reached("notifier:locked")
        return cls(
            connection,
            {
                row["account_id"]: State(unread=row["unread"], read_up_to=row["read_up_to"], last_id=row["last_id"])
                for row in rows
            },
        )

    async def remove(self, lines: Mapping[tuple[int, int], str | None]) -> list[Told]:
        """Takes lines, given as (member, id) with the request that ends each, out of their inboxes; those that are
        gone already are passed over."""
        asked = sorted(lines)
        if not asked:
            return []
        accounts, ids = zip(*asked, strict=True)
        rows = await rows_of(
            queries.delete_notifications(self._connection, accounts=accounts, ids=ids, now=clock.now())
        )
        by_account: dict[int, list[int]] = {}
        for row in rows:
            by_account.setdefault(row["account_id"], []).append(row["id"])
        told: list[Told] = []
        for account, gone in by_account.items():
            state = self._states[account]
            state.unread -= sum(line > state.read_up_to for line in gone)
            for first in range(0, len(gone), AT_ONCE):
                part = gone[first : first + AT_ONCE]
                removed = NotificationRemoved(ids=[str(line) for line in part], unread=state.unread)
                told.append((account, removed, lines[account, part[-1]]))
        return told

    async def add(self, notices: Iterable[Notice], authors: Mapping[int, Author]) -> list[Told]:
        """Adds a line for each notice whose cause its recipient was not told of before."""
        lines = [(self._next_id(notice.recipient), notice) for notice in notices]
        if not lines:
            return []
        rows = await rows_of(
            queries.insert_notifications(
                self._connection,
                accounts=[notice.recipient for _, notice in lines],
                ids=[made for made, _ in lines],
                kinds=[notice.kind for _, notice in lines],
                actors=[notice.actor for _, notice in lines],
                posts=[notice.post_id for _, notice in lines],
                comments=[notice.comment_id for _, notice in lines],
                causes=[notice.cause for _, notice in lines],
                times=[notice.at for _, notice in lines],
            )
        )
        added = {(row["account_id"], row["id"]) for row in rows}
        told: list[Told] = []
        for made, notice in lines:
            if (notice.recipient, made) not in added:
                continue
            state = self._states[notice.recipient]
            state.unread += 1
            line = _notification(made, notice, authors[notice.actor])
            changed = NotificationChanged(notification=line, unread=state.unread)
            told.append((notice.recipient, changed, notice.request_id))
        return told

    async def save(self) -> None:
        """Writes the counts of all of them."""
        await queries.update_inboxes(
            self._connection,
            accounts=list(self._states),
            unreads=[state.unread for state in self._states.values()],
            last_ids=[state.last_id for state in self._states.values()],
        )

    def _next_id(self, account: int) -> int:
        state = self._states[account]
        state.last_id = max(new_id(), state.last_id + 1)
        return state.last_id


async def announce(connection: Connection, told: Iterable[Told]) -> None:
    """Tells each member's own channel, in order. The last step of a transaction."""
    drafts = [outbox.Draft(str(account), event, inbox_channels(str(account)), cause) for account, event, cause in told]
    await outbox.append_many(connection, drafts)


async def read_page(pool: Pool, account_id: int, *, limit: int, before: int | None) -> Page:
    """A page of at most `limit` lines older than the id `before` (None: from the newest)."""

    async def attempt() -> Any:
        async with acquire(pool) as connection:
            return await queries.page(
                connection, account=account_id, before=MAX_ID if before is None else before, limit=limit + 1
            )

    row = await retrying(attempt)
    lines = msgspec.json.decode(row["lines"])
    items = [_shown(line) for line in lines[:limit]]
    return Page(
        items=items,
        next=items[-1].id if len(lines) > limit else None,
        unread=row["unread"],
        as_of=msgspec.json.decode(row["as_of"], type=AsOf),
    )


async def mark_read(pool: Pool, account_id: int, up_to: int) -> tuple[ReadUpTo, AsOf]:
    """Everything up to the line `up_to` is read; an older line than the last time changes nothing.

    The positions are older than the answer: whoever follows the inbox from them misses nothing.

    Raises NotFound for an id that never stood in this inbox, whether or not it stands in another.
    """

    async def attempt() -> tuple[ReadUpTo, AsOf]:
        async with transaction(pool) as connection:
            heads = await head(connection)
            as_of = AsOf(epoch=heads.epoch, seq=list(heads.seq))
            inbox = await queries.lock_inbox(connection, account=account_id)
            if inbox is None or not await queries.held_in_inbox(connection, account=account_id, id=up_to):
                fault = Fault(field="up_to", code="unknown", detail="There is no such line in your inbox.")
                raise NotFound(fault.detail, errors=[fault])
            if up_to <= inbox["read_up_to"]:
                return ReadUpTo(unread=inbox["unread"], up_to=str(inbox["read_up_to"])), as_of
            unread = await queries.read_up_to(connection, account=account_id, id=up_to)
            read = ReadUpTo(unread=unread, up_to=str(up_to))
            await announce(connection, [(account_id, InboxRead(up_to=read.up_to, unread=unread), None)])
            return read, as_of

    return await retrying(attempt)


def _notification(made: int, notice: Notice, actor: Author) -> Notification:
    return Notification(
        id=str(made),
        kind=notice.kind,
        actor=actor,
        post_id=str(notice.post_id),
        comment_id=None if notice.comment_id is None else str(notice.comment_id),
        created_at=notice.at,
        read=False,
    )


def _shown(line: dict[str, Any]) -> Notification:
    comment_id = line["comment_id"]
    return msgspec.convert(
        {
            "id": str(line["id"]),
            "kind": line["kind"],
            "actor": {
                "id": str(line["actor_id"]),
                "handle": line["handle"],
                "display_name": line["display_name"],
            },
            "post_id": str(line["post_id"]),
            "comment_id": None if comment_id is None else str(comment_id),
            "created_at": line["created_at"],
            "read": line["read"],
        },
        Notification,
    )
