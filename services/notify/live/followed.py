"""A channel with subscribers: where its chain stands, and what waits for the next round."""

from typing import NamedTuple

from services.notify.live.lanes import Audience
from services.notify.live.session import Session
from shared.eventlog.entries import Entry


class Piece(NamedTuple):
    """What waits of one log, and the position that its first frame follows."""

    log: int
    prev: int
    entries: list[Entry]


class Followed:
    """A channel with subscribers. `last` per log: its last position, or the log's when following began."""

    __slots__ = ("last", "queues", "sessions")

    def __init__(self, last: list[int]) -> None:
        self.sessions = Audience()
        self.last = last
        self.queues: dict[int, list[Entry]] = {}

    def taken(self) -> list[Piece]:
        """What waits, which no longer does: the chain goes on behind it."""
        found = []
        for log, entries in self.queues.items():
            found.append(Piece(log, self.last[log], entries))
            self.last[log] = entries[-1].seq
        self.queues = {}
        return found

    def redact(self, log: int, left: Entry) -> None:
        """What waits of an entry that lost its words is what is left of it."""
        if queue := self.queues.get(log):
            self.queues[log] = _redacted(queue, left)


class Leaving(NamedTuple):
    """Who is told to fetch a channel anew in the next round, each by these frames, behind what came on it before."""

    channel: str
    pieces: list[Piece]
    resets: list[tuple[Session, bytes]]

    def redact(self, log: int, left: Entry) -> None:
        """See Followed."""
        if self.channel in left.channels:
            self.pieces[:] = [
                piece._replace(entries=_redacted(piece.entries, left)) if piece.log == log else piece
                for piece in self.pieces
            ]


def _redacted(entries: list[Entry], left: Entry) -> list[Entry]:
    return [left if entry.seq == left.seq else entry for entry in entries]
