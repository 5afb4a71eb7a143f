"""Bringing a subscription, or a session that fell behind, up to the hub: replays from the ring, all or `reset`.

Every step is synchronous and bounded, so that reading the ring's end and joining the hub happen without an await
between. A step writes one piece; a full write buffer stops it, and the drained buffer starts it again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from services.notify.live import metrics
from services.notify.live.fanout import reset
from services.notify.live.frames import Mark, Subscribed, encode
from services.notify.live.hub import Hub
from services.notify.live.pieces import Pieces, Written
from services.notify.live.ring import Ring
from services.notify.live.session import Session, Subscription
from shared.faults import passed

TURN = 8
"""Steps between two yields to the loop."""


def recovered(subscription: Subscription, outcome: str, source: str = "") -> None:
    """Counts how a pending subscription's recovery ended; one without a `since` has none. `source`: what METRICS.md
    says; where its past came from unless told."""
    if subscription.since is not None:
        source = source or ("postgres" if subscription.extended else "ring")
        metrics.RECOVERIES.labels(source, outcome).inc()


class Past(Protocol):
    """What lies outside the rings, on either side."""

    def reach(self, number: int) -> int:
        """The lowest position that can be replayed after, at best."""

    def extend(self, number: int, after: int, done: Callable[[bool], None]) -> None:
        """Asks for the entries right after `after`; `done(False)` when they are no longer to be had."""

    def confirm(self, number: int, seq: int, done: Callable[[bool], None]) -> None:
        """Asks whether Postgres's head has reached `seq`; may answer at once."""


class Recovery:
    """Brings sessions up to the hub, `past` helping."""

    def __init__(self, hub: Hub, past: Past) -> None:
        self._hub = hub
        self._past = past
        self._queue: deque[Session] = deque()
        self._pieces = Pieces(hub.rings)
        self._work = asyncio.Event()

    def start(self, session: Session, subscription: Subscription) -> None:
        """The subscription is the session's; small replays are done when this returns, the rest follows."""
        old = session.subscriptions.get(subscription.name)
        if old is not None:
            self._hub.drop(session, old)
        session.subscriptions[subscription.name] = subscription
        self._go_on(session)

    def resume(self, session: Session) -> None:
        """There may be something to do for the session again."""
        if not session.queued and not session.ended:
            session.queued = True
            self._queue.append(session)
            self._work.set()

    async def run(self) -> None:
        """Steps for all who asked, in turn, so that one long replay holds nobody up."""
        turn = 0
        while True:
            while self.step():
                turn += 1
                if turn % TURN == 0:
                    await asyncio.sleep(0)
            self._work.clear()
            await self._work.wait()

    def step(self) -> bool:
        """One step for the session whose turn it is; False when nobody asked."""
        if not self._queue:
            return False
        session = self._queue.popleft()
        session.queued = False
        self._go_on(session)
        return True

    def _go_on(self, session: Session) -> None:
        while not (session.ended or session.fetching or session.outlet.paused):
            if session.behind is not None:
                complete = self._catch_up(session)
            else:
                pending = next((s for s in session.subscriptions.values() if not s.live and not s.waiting), None)
                if pending is None:
                    return
                complete = self._replay(session, pending)
            if not complete:
                passed("recovery:between_pieces")
                self.resume(session)
                return

    def _catch_up(self, session: Session) -> bool:
        """One step for a session that fell behind; True when it is done, or waits for Postgres."""
        position = session.behind
        assert position is not None  # noqa: S101 - the caller looked
        lost = [ring.log for ring in self._hub.rings if position[ring.log] + 1 < ring.floor]
        if lost:
            return self._fetch_for_behind(session, position, lost[0])
        out: list[bytes] = []
        if session.base is None:
            # All that is live is complete through here. Saying so lets the chains below start at this position.
            session.base = list(position)
            out += [encode(Mark(log=number, seq=seq)) for number, seq in enumerate(position)]
            session.written = {}
        at_end = self._advance(session, tuple(session.live_channels()), position, session.base, session.written, out)
        if at_end:
            session.behind = session.base = None
            session.written = {}
            metrics.CATCH_UPS.labels("postgres" if session.extended else "ring", "complete").inc()
            session.extended = False
        session.outlet.write(b"".join(out))
        return at_end

    def _fetch_for_behind(self, session: Session, position: list[int], number: int) -> bool:
        def fetched(there: bool) -> None:
            session.fetching = False
            if not there:
                source = "postgres" if session.extended else "none"
                for subscription in [s for s in session.subscriptions.values() if s.live]:
                    self._end(session, subscription, "too_old", source)
                session.behind = session.base = None
                session.extended = False
                metrics.CATCH_UPS.labels(source, "too_old").inc()
            self.resume(session)

        session.fetching = True
        if position[number] < self._past.reach(number):
            fetched(False)
        else:
            session.extended = True
            self._past.extend(number, position[number], fetched)
        return True

    def _replay(self, session: Session, subscription: Subscription) -> bool:
        """One step for a pending subscription; True when the next one may have its turn."""
        position = subscription.position
        if position is None:
            position = subscription.position = self._hub.position()
        for ring in self._hub.rings:
            if position[ring.log] > ring.end:
                self._await_head(session, subscription, ring, position[ring.log])
                return True
            if position[ring.log] + 1 < ring.floor:
                self._await_past(session, subscription, ring, position[ring.log])
                return True
        out: list[bytes] = []
        base = subscription.since or position
        at_end = self._advance(session, subscription.channels, position, base, subscription.written, out)
        if at_end and session.subscriptions.get(subscription.name) is subscription:
            self._hub.join(session, subscription)
            subscription.written = {}
            home = list(subscription.channels) if subscription.name == "home" else None
            frame = Subscribed(
                id=subscription.request_id, channel=subscription.name, as_of=self._hub.as_of(), channels=home
            )
            out.append(encode(frame))
            recovered(subscription, "complete")
        session.outlet.write(b"".join(out))
        return at_end

    def _await_head(self, session: Session, subscription: Subscription, ring: Ring, seq: int) -> None:
        """`since` is ahead of what came in: a page that was read from Postgres a moment ago, or nonsense."""

        def answered(real: bool) -> None:
            if session.subscriptions.get(subscription.name) is not subscription:
                return
            if real:
                self._hub.await_position(ring.log, seq, reached)
            else:
                self._end(session, subscription, "epoch", "postgres")

        def reached() -> None:
            subscription.waiting = False
            self.resume(session)

        subscription.waiting = True
        self._past.confirm(ring.log, seq, answered)

    def _await_past(self, session: Session, subscription: Subscription, ring: Ring, after: int) -> None:
        def fetched(there: bool) -> None:
            if session.subscriptions.get(subscription.name) is not subscription:
                return
            if there:
                subscription.waiting = False
                self.resume(session)
            else:
                self._end(session, subscription, "too_old", "postgres" if subscription.extended else "none")

        if after < self._past.reach(ring.log):
            fetched(False)
            return
        subscription.waiting = subscription.extended = True
        self._past.extend(ring.log, after, fetched)

    def _end(self, session: Session, subscription: Subscription, reason: str, source: str) -> None:
        """The subscription ends with a `reset`."""
        if not subscription.live:
            recovered(subscription, reason, source)
        self._hub.drop(session, subscription)
        metrics.RESETS.labels(reason).inc()
        session.outlet.tell(reset(subscription.name, reason))

    def _advance(
        self,
        session: Session,
        channels: tuple[str, ...],
        position: list[int],
        base: Sequence[int],
        written: Written,
        out: list[bytes],
    ) -> bool:
        """Appends the next piece of `channels` after `position`, and moves `position`; True at the ends of all rings.

        Of the outlet's share it leaves a quarter for what turns out longer."""
        piece = self._pieces.after(channels, position, base, written, session.outlet.share * 3 // 4)
        out.append(piece.frames)
        for channel, number, seq in piece.reloads:
            out += self._end_reloaded(session, channel, number, seq)
        position[:] = piece.position
        written.update(piece.written)
        return position == self._hub.position()

    def _end_reloaded(self, session: Session, channel: str, number: int, seq: int) -> Iterator[bytes]:
        """The channel was reloaded at `seq`: what had not got so far of the session's subscriptions ends."""
        for subscription in [s for s in session.subscriptions.values() if channel in s.channels]:
            reached = session.behind if subscription.live else subscription.position
            if reached is not None and reached[number] < seq:
                if not subscription.live:
                    recovered(subscription, "reloaded")
                self._hub.drop(session, subscription)
                metrics.RESETS.labels("reloaded").inc()
                yield reset(subscription.name, "reloaded")
