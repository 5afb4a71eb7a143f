"""From entries to bytes: superseded counts left out, the chain of `prev` kept, each frame encoded once.

Pure: entries and positions in, ready-made WebSocket frames out. Who gets them is the hub's to know.
"""

from collections.abc import Iterable, Iterator

import msgspec

from services.notify.live.frames import Reset, encode, event_body, event_frame, event_front
from shared.eventlog.entries import Entry

RELOADED = "topic.reloaded"
COUNTS = "counts.changed"


class _Entity(msgspec.Struct, frozen=True):
    post_id: str = ""
    comment_id: str | None = None


_entity = msgspec.json.Decoder(_Entity)


def counted(payload: bytes) -> tuple[str, str | None] | None:
    """Whose counts a `counts.changed` gives; None when that can't be read."""
    try:
        found = _entity.decode(payload)
    except (ValueError, RecursionError):
        return None
    return (found.post_id, found.comment_id)


def superseded(entries: Iterable[Entry]) -> set[int]:
    """Positions of counts that a later one of the same entity replaces; the last entry is never among them."""
    latest: dict[tuple[str, str | None], int] = {}
    gone: set[int] = set()
    for entry in entries:
        if entry.type == COUNTS and (entity := counted(entry.payload)) is not None:
            if entity in latest:
                gone.add(latest[entity])
            latest[entity] = entry.seq
    return gone


KEPT = 8 << 20
"""Bytes of bodies that are kept, at most about: more than a round or a step ever needs."""


class Bodies:
    """The `event` member of each entry's frames, encoded once however many channels it is on, and readers it has."""

    __slots__ = ("_made", "_size")

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], tuple[Entry, bytes]] = {}
        self._size = 0

    def body(self, log: int, entry: Entry) -> bytes:
        """The bytes for this entry of this log."""
        made = self._made.get((log, entry.seq))
        if made is None or made[0] is not entry:  # an entry whose words were removed is another one
            if self._size >= KEPT:
                self._made.clear()
                self._size = 0
            made = self._made[log, entry.seq] = (entry, event_body(entry))
            self._size += len(made[1])
        return made[1]


def chain(channel: str, log: int, prev: int, entries: list[Entry], bodies: Bodies) -> Iterator[bytes]:
    """Frames of a channel's `entries`, the first one's `prev` as given, each next one's the one before it."""
    front = event_front(channel, log)
    gone = superseded(entries) if len(entries) > 1 else ()
    for entry in entries:
        if entry.seq not in gone:
            yield event_frame(front, prev, entry.seq, bodies.body(log, entry))
            prev = entry.seq


def reset(channel: str, reason: str) -> bytes:
    """A ready-made `reset`."""
    return encode(Reset(channel=channel, reason=reason))
