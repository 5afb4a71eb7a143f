"""Appends the feed's events, and remembers for the length of a request on which channels they are visible.

So that the process that wrote can drop the pages that are no longer true before it answers, instead of serving them
until its own event has come round the log.
"""

from collections.abc import Iterable, Sequence
from contextvars import ContextVar

from shared.eventlog import outbox
from shared.eventlog.outbox import Draft
from shared.events import Event
from shared.faults import reached
from shared.postgres import Connection

_told: ContextVar[set[str] | None] = ContextVar("told", default=None)


async def tell(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Appends events in this order, in the caller's transaction: its last statements."""
    note(channel for draft in drafts for channel in draft.channels)
    await outbox.append_many(connection, drafts)
    await reached("feed:committing")


async def tell_one(connection: Connection, key: str, event: Event, channels: Sequence[str]) -> None:
    """Appends one event."""
    await tell(connection, [Draft(key, event, channels)])


def note(channels: Iterable[str]) -> None:
    """An event visible on these channels was appended."""
    told = _told.get()
    if told is not None:
        told.update(channels)


def listen() -> set[str]:
    """A set that fills with the channels of what this request tells."""
    told: set[str] = set()
    _told.set(told)
    return told
