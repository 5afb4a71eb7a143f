"""Lanes: which sockets a round may write to straight, side by side in one small table.

A session, its protocol and its transport lie scattered over memory. To look at a thousand of each, only to learn that
nothing is in the way, took a round as long as the kernel's writes (measured: half of its time, on cold caches). So
whoever puts something in the way says so in the table, and a round reads that.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import repeat

from services.notify.live.session import SHUT, Session
from services.notify.live.uring import Write
from services.notify.live.writes import Writes

Parcel = tuple[int, bytes]
"""A lane, and what goes there."""


class Lanes:
    """The lanes of one hub. Lane 0 is nobody's, and always shut.

    `descriptors` by lane: where frames may go as they are, or SHUT. The socket opens and shuts it, `leave` shuts it for
    good. A lane that was left is another's only after `recycle`: what a round gathered for whoever left goes to nobody.
    """

    def __init__(self) -> None:
        self.descriptors = array("i", [SHUT])
        self._sessions: list[Session | None] = [None]
        self._free: list[int] = []
        self._left: list[int] = []
        self._writes = Writes()

    def take(self, session: Session) -> None:
        """The session has a lane, which is shut."""
        if self._free:
            lane = self._free.pop()
        else:
            lane = len(self._sessions)
            self.descriptors.append(SHUT)
            self._sessions.append(None)
        self._sessions[lane] = session
        session.lane = lane
        session.outlet.board(self.descriptors, lane)

    def leave(self, session: Session, *, again: bool) -> None:
        """The session has no lane. Without `again` it will be nobody's any more. Safe twice."""
        lane, session.lane = session.lane, 0
        if lane:
            session.outlet.board(array("i", [SHUT]), 0)
            self.descriptors[lane] = SHUT
            self._sessions[lane] = None
            if again:
                self._left.append(lane)

    def recycle(self) -> None:
        """No round is under way: lanes that were left may be given to others."""
        self._free += self._left
        self._left.clear()

    def hand(self, slice_: Sequence[Parcel]) -> list[Session]:
        """Hands out one slice, and nothing to whoever is behind; returns who had no room.

        Thousands of sockets pass here: of those whose lanes are open nothing else is looked at.
        """
        descriptors, roomless = self.descriptors, []
        todo: list[Write] = []
        for lane, frames in slice_:
            if descriptors[lane] == SHUT:
                session = self._sessions[lane]
                if session is None or session.behind is not None:
                    continue
                if not session.outlet.clear():
                    if not session.outlet.offer(frames):
                        roomless.append(session)
                    continue
            todo.append((descriptors[lane], frames, lane))
        for lane, rest in self._writes.make(todo):
            if (session := self._sessions[lane]) is not None:
                session.outlet.write(rest)
        return roomless

    def close(self) -> None:
        """No thread is left. Twice is safe."""
        self._writes.close()


class Audience:
    """Sessions that get the same, in the order in which they came, and their lanes side by side."""

    __slots__ = ("_lanes", "_sessions")

    def __init__(self) -> None:
        self._sessions: dict[Session, None] = {}
        self._lanes: array[int] | None = None

    def add(self, session: Session) -> bool:
        """The session, which has a lane, belongs to it; whether it did not before."""
        new = session not in self._sessions
        if new:
            self._sessions[session] = self._lanes = None
        return new

    def discard(self, session: Session) -> bool:
        """The session does not belong to it; whether it did before."""
        found = session in self._sessions
        if found:
            del self._sessions[session]
            self._lanes = None
        return found

    def lanes(self) -> "array[int]":
        """The lanes of all; not to be changed."""
        if self._lanes is None:
            self._lanes = array("i", [session.lane for session in self._sessions])
        return self._lanes

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: object) -> bool:
        return session in self._sessions


def parcels(blocks: Sequence[tuple[Audience, bytes]]) -> list[Parcel]:
    """What goes to each lane, in the order of the blocks."""
    if len(blocks) == 1:  # a hot channel: nothing to put together for thousands of sockets
        [(audience, block)] = blocks
        return list(zip(audience.lanes(), repeat(block)))
    gathered: dict[int, list[bytes]] = {}
    for audience, block in blocks:
        for lane in audience.lanes():
            if (parcel := gathered.get(lane)) is None:
                gathered[lane] = [block]
            else:
                parcel.append(block)
    return [(lane, b"".join(parcel)) for lane, parcel in gathered.items()]
