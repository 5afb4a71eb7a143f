"""The hub: the one place that knows channel -> sessions, and the position through which each log has come in.

It takes entries as the tails bring them and hands them out in rounds: while one round of writes is under way new
entries gather, and the next round gives each socket everything in a single write. INVARIANTS.md states what holds.
"""

import asyncio
from collections.abc import Callable, Sequence

from services.notify.live import metrics
from services.notify.live.codes import Close
from services.notify.live.fanout import Bodies, chain, reset
from services.notify.live.followed import Followed, Leaving, Piece
from services.notify.live.frames import Mark, encode
from services.notify.live.lanes import Audience, Lanes, Parcel, parcels
from services.notify.live.meaning import NOTABLE, Redacted, Reloaded, meaning
from services.notify.live.ring import Ring
from services.notify.live.session import Session, Subscription
from shared.eventlog.entries import Entry
from shared.events import MembershipChanged, SessionRevoked
from shared.ids import parse_id
from shared.telemetry import get_logger
from shared.wire import AsOf

log = get_logger(__name__)

SLICE = 256
"""Sockets written before the loop gets its turn: two milliseconds. Fewer, and the two threads meet more often."""
PAUSE = 0.002
"""Seconds that follow a round of a slice or more, unless half of the next one is here already: on a machine whose
processors are busy more gathers meanwhile, and Postgres, Redis and those who read come to it."""
FRAME = 192
"""Bytes of an event frame beside channel and payload, at most about."""


class Hub:
    """All live sessions of one epoch. `on_membership(event, log, seq)` hears of topics joined and left,
    `on_behind(session)` of a session that fell behind. `load`: bytes that one round is to bring one session at most."""

    def __init__(self, epoch: int, rings: Sequence[Ring], load: int = 32_768) -> None:
        self.epoch = epoch
        self.rings = rings
        self.load = load
        self.sessions = Audience()
        self.members: dict[int, dict[Session, None]] = {}
        self.channels: dict[str, Followed] = {}
        self.on_membership: Callable[[MembershipChanged, int, int], None] | None = None
        self.on_behind: Callable[[Session], None] | None = None
        self._dirty: dict[str, Followed] = {}
        self._leaving: list[Leaving] = []
        self._handed = self.position()
        self._marked = self.position()
        self._marks_due = False
        self._awaiting: list[tuple[int, int, Callable[[], None]]] = []
        self._work = asyncio.Event()
        self._gathered = 0
        self._oldest = ""
        self._roomy = asyncio.Event()
        self._lanes = Lanes()

    @property
    def logs(self) -> int:
        """How many logs there are."""
        return len(self.rings)

    def position(self) -> list[int]:
        """Per log: everything through here has come in."""
        return [ring.end for ring in self.rings]

    def handed(self) -> list[int]:
        """Per log: everything through here was in a round that has begun, and went to whoever is not behind."""
        return self._handed

    def as_of(self) -> AsOf:
        """The position as the wire gives it."""
        return AsOf(epoch=self.epoch, seq=self.position())

    def expect(self, session: Session) -> None:
        """A session that signs in hears of its revocation from now on, and gets no frame yet. Safe twice."""
        if session.account_id is not None:
            self.members.setdefault(session.account_id, {})[session] = None

    def enter(self, session: Session) -> None:
        """The session gets marks and, when signed in, hears of its revocation. Safe twice."""
        self.expect(session)
        if not session.lane:
            self._lanes.take(session)
        self.sessions.add(session)

    def exit(self, session: Session) -> None:
        """The session and its subscriptions are gone. Safe twice."""
        session.ended = True
        self.sessions.discard(session)
        for subscription in list(session.subscriptions.values()):
            self.drop(session, subscription)
        if session.account_id is not None and (peers := self.members.get(session.account_id)) is not None:
            peers.pop(session, None)
            if not peers:
                del self.members[session.account_id]
        if session.followed:  # whoever got its lane would be brought what it followed
            log.error("session_still_followed", session=session.id, channels=session.followed)
        self._lanes.leave(session, again=not session.followed)

    def join(self, session: Session, subscription: Subscription) -> None:
        """The subscription is live from `position()` on. The caller has read the ring's end without an await since."""
        subscription.live = True
        for channel in subscription.channels:
            self.follow(session, channel)

    def follow(self, session: Session, channel: str) -> None:
        """The session gets the channel's frames from now on; it has entered, and a live subscription covers it."""
        if session.ended:
            raise AssertionError(f"session {session.id} has ended and can't follow {channel}")
        followed = self.channels.get(channel)
        if followed is None:
            followed = self.channels[channel] = Followed(self.position())
        session.followed += followed.sessions.add(session)

    def unfollow(self, session: Session, channel: str) -> None:
        """The session gets no more of the channel, unless a live subscription still covers it."""
        followed = self.channels.get(channel)
        if followed is None or session.follows(channel):
            return
        session.followed -= followed.sessions.discard(session)
        if not followed.sessions:
            del self.channels[channel]
            self._dirty.pop(channel, None)

    def drop(self, session: Session, subscription: Subscription) -> None:
        """The subscription has ended. Safe twice."""
        if session.subscriptions.get(subscription.name) is subscription:
            del session.subscriptions[subscription.name]
        if subscription.live:
            if not session.ended:
                session.remember(subscription, session.behind or self._handed)
            subscription.live = False
            for channel in subscription.channels:
                self.unfollow(session, channel)

    def take(self, number: int, entries: Sequence[Entry]) -> None:
        """Log `number` has come in through these entries, the next ones."""
        ring, channels, dirty = self.rings[number], self.channels, self._dirty
        for entry in entries:
            ring.append(entry)
            if entry.type in NOTABLE:
                self._note(number, entry)
            for channel in entry.channels:
                followed = channels.get(channel)
                if followed is not None:
                    followed.queues.setdefault(number, []).append(entry)
                    dirty[channel] = followed
                    self._gathered += len(entry.payload) + len(channel) + FRAME
        self._work.set()
        if self._awaiting:
            self._answer_awaiting()

    async def room(self) -> None:
        """Returns when the next round can carry more; what a tail brings waits for this before `take`."""
        while self._gathered >= self.load:
            self._roomy.clear()
            await self._roomy.wait()

    def await_position(self, number: int, seq: int, reached: Callable[[], None]) -> None:
        """`reached` is called once, when log `number` has come in through `seq`: at once when it has."""
        if self.rings[number].end >= seq:
            reached()
        else:
            self._awaiting.append((number, seq, reached))

    def want_marks(self) -> None:
        """The next round brings marks of the logs that moved since the last marks."""
        if self._marked != self.position():
            self._marks_due = True
            self._work.set()

    async def run(self) -> None:
        """Rounds, as long as there is something to hand out."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                sockets = await self.round()
                if sockets >= SLICE and self._gathered < self.load // 2:
                    await asyncio.sleep(PAUSE)
        finally:
            self._lanes.close()

    async def round(self) -> int:
        """Hands out everything gathered, and yields after each slice. Returns how many sockets there were."""
        before = self._handed
        self._lanes.recycle()
        leaving, self._leaving = self._leaving, []
        blocks = [b"".join(self._encode(each.channel, each.pieces, Bodies())) for each in leaving]
        gathered = self._gather()
        oldest, self._oldest = self._oldest, ""
        for each, block in zip(leaving, blocks, strict=True):
            for session, resets in each.resets:
                session.outlet.tell(block + resets)
        for first in range(0, len(gathered), SLICE):
            for session in self._lanes.hand(gathered[first : first + SLICE]):
                session.behind = list(before)
                metrics.FELL_BEHIND.inc()
                if self.on_behind is not None:
                    self.on_behind(session)
            if first + SLICE <= len(gathered):
                await asyncio.sleep(0)
        if oldest:
            metrics.handed(oldest)
        return len(gathered)

    def _gather(self) -> list[Parcel]:
        bodies = Bodies()
        dirty, self._dirty = self._dirty, {}
        self._gathered = 0
        self._roomy.set()
        blocks: list[tuple[Audience, bytes]] = []
        for channel, followed in dirty.items():
            if frames := self._encode(channel, followed.taken(), bodies):
                blocks.append((followed.sessions, b"".join(frames)))
                metrics.sent(len(frames) * len(followed.sessions))
        self._handed = self.position()
        if self._marks_due:
            blocks.append((self.sessions, self._marks()))
        return parcels(blocks)

    def _encode(self, channel: str, pieces: Sequence[Piece], bodies: Bodies) -> list[bytes]:
        frames: list[bytes] = []
        for number, prev, entries in pieces:
            frames += chain(channel, number, prev, entries, bodies)
            oldest = min(entry.at for entry in entries)  # a late commit stands behind newer ones
            if not self._oldest or oldest < self._oldest:
                self._oldest = oldest
        return frames

    def _marks(self) -> bytes:
        self._marks_due = False
        moved = [(n, now) for n, (was, now) in enumerate(zip(self._marked, self._handed, strict=True)) if was != now]
        self._marked = self._handed
        return b"".join(encode(Mark(log=number, seq=seq)) for number, seq in moved)

    def _note(self, number: int, entry: Entry) -> None:
        """What an entry means to the hub itself."""
        match meaning(number, entry):
            case Reloaded():
                for channel in dict.fromkeys(entry.channels):
                    self._reload(channel)
            case Redacted(seq):
                self._redact(number, seq)
            case SessionRevoked() as revoked:
                self._revoke(revoked)
            case MembershipChanged() as changed if self.on_membership is not None:
                self.on_membership(changed, number, entry.seq)

    def _revoke(self, revoked: SessionRevoked) -> None:
        account_id = parse_id(revoked.account_id)
        for session in list(self.members.get(account_id, ()) if account_id else ()):
            if session.ends_with(revoked.session_id):
                session.outlet.end(Close.REVOKED)

    def _redact(self, number: int, seq: int) -> None:
        """The words of an entry leave the ring, and what waits for the next round."""
        if (left := self.rings[number].redact(seq)) is None:
            return
        for channel in left.channels:
            if (followed := self.channels.get(channel)) is not None:
                followed.redact(number, left)
        for each in self._leaving:
            each.redact(number, left)

    def _reload(self, channel: str) -> None:
        """Those who follow the channel get what came before, then a `reset`; who is behind meets it catching up."""
        followed = self.channels.get(channel)
        if followed is None:
            return
        pieces = followed.taken()
        sessions = [each for each in followed.sessions if each.behind is None]
        self._leaving.append(Leaving(channel, pieces, [(each, self.reload(each, channel)) for each in sessions]))
        self._dirty.pop(channel, None)

    def reload(self, session: Session, channel: str) -> bytes:
        """Ends the session's subscriptions that cover a channel; returns their `reset` frames."""
        ended = [s for s in session.subscriptions.values() if channel in s.channels and s.live]
        for subscription in ended:
            self.drop(session, subscription)
            metrics.RESETS.labels("reloaded").inc()
        return b"".join(reset(subscription.name, "reloaded") for subscription in ended)

    def _answer_awaiting(self) -> None:
        awaiting, self._awaiting = self._awaiting, []
        for number, seq, reached in awaiting:
            if self.rings[number].end >= seq:
                reached()
            else:
                self._awaiting.append((number, seq, reached))
