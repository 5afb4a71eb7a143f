"""Bringing a subscription, or a session that fell behind, up to the hub: replays from the ring, all or `reset`.

Every step is synchronous and bounded, so that reading the ring's end and joining the hub happen without an await
between. A step writes at most about BUDGET bytes; a full write buffer stops it, and the drained buffer starts it again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from services.notify.live import metrics
from services.notify.live.fanout import RELOADED, Bodies, chain, reset
from services.notify.live.frames import Mark, Subscribed, encode
from services.notify.live.hub import Hub
from services.notify.live.ring import Ring
from services.notify.live.session import Session, Subscription
from shared.eventlog.entries import Entry
from shared.faults import passed

BUDGET = 65_536
"""Bytes that one step writes at most, about; of its outlet's share it leaves a quarter for what turns out longer."""
PICKS = 512
"""Entries of one channel that one step looks at."""
TURN = 8
"""Steps between two yields to the loop."""


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
        self._bodies = Bodies()  # shared: when many come back or fall behind at once, they want the same entries
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
        at_end = self._window(session, tuple(session.live_channels()), position, session.base, session.written, out)
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
                for subscription in [s for s in session.subscriptions.values() if s.live]:
                    self.end(session, subscription, "too_old")
                session.behind = session.base = None
                session.extended = False
                metrics.CATCH_UPS.labels("postgres", "too_old").inc()
            self.resume(session)

        session.fetching = session.extended = True
        if position[number] < self._past.reach(number):
            fetched(False)
        else:
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
        at_end = self._window(session, subscription.channels, position, base, subscription.written, out)
        if at_end and session.subscriptions.get(subscription.name) is subscription:
            self._hub.join(session, subscription)
            subscription.written = {}
            home = list(subscription.channels) if subscription.name == "home" else None
            frame = Subscribed(
                id=subscription.request_id, channel=subscription.name, as_of=self._hub.as_of(), channels=home
            )
            out.append(encode(frame))
            if subscription.since is not None:
                metrics.RECOVERIES.labels("postgres" if subscription.extended else "ring", "complete").inc()
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
                self.end(session, subscription, "epoch")

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
                self.end(session, subscription, "too_old")

        if after < self._past.reach(ring.log):
            fetched(False)
            return
        subscription.waiting = subscription.extended = True
        self._past.extend(ring.log, after, fetched)

    def end(self, session: Session, subscription: Subscription, reason: str) -> None:
        """The subscription ends with a `reset`."""
        if not subscription.live and subscription.since is not None:
            metrics.RECOVERIES.labels("postgres", reason).inc()
        self._hub.drop(session, subscription)
        metrics.RESETS.labels(reason).inc()
        session.outlet.tell(reset(subscription.name, reason))

    def _window(
        self,
        session: Session,
        channels: tuple[str, ...],
        position: list[int],
        base: Sequence[int],
        written: dict[tuple[str, int], int],
        out: list[bytes],
    ) -> bool:
        """Appends the frames of `channels` after `position`, as far as the budget goes, and moves `position`.

        A chain starts at `base` and goes on from what was `written`, also when the ring has let go of that meanwhile.
        True when it has come to the ends of all rings.
        """
        budget = min(BUDGET, session.outlet.share * 3 // 4)
        for ring in self._hub.rings:
            picked, through, budget = pick(ring, channels, position[ring.log], budget)
            for channel, entries in picked.items():
                known = written.get((channel, ring.log), base[ring.log])
                prev = max(ring.previous(channel, entries[0].seq), known)
                self._emit(session, channel, ring.log, prev, entries, out)
                written[channel, ring.log] = entries[-1].seq
            position[ring.log] = through
        return position == self._hub.position()

    def _emit(
        self,
        session: Session,
        channel: str,
        number: int,
        prev: int,
        entries: list[Entry],
        out: list[bytes],
    ) -> None:
        reloaded = next((place for place, entry in enumerate(entries) if entry.type == RELOADED), None)
        out += chain(channel, number, prev, entries[:reloaded], self._bodies)
        if reloaded is None:
            return
        for subscription in [s for s in session.subscriptions.values() if channel in s.channels]:
            reached = session.behind if subscription.live else subscription.position
            if reached is not None and reached[number] < entries[reloaded].seq:
                self._hub.drop(session, subscription)
                metrics.RESETS.labels("reloaded").inc()
                out.append(reset(subscription.name, "reloaded"))


def pick(ring: Ring, channels: tuple[str, ...], after: int, budget: int) -> tuple[dict[str, list[Entry]], int, int]:
    """What `channels` have after a position, by channel in order, with the position it is complete through.

    Stops when `budget` bytes (payloads and a frame's rest) are spent, having taken at least one entry if it began with
    any; also returns what is left of the budget.
    """
    if budget <= 0:
        return {}, after, 0
    through = ring.end
    found: list[tuple[int, str]] = []
    for channel in channels:
        seqs = ring.positions(channel, after, PICKS)
        if len(seqs) == PICKS:
            through = min(through, seqs[-1])
        found += [(seq, channel) for seq in seqs]
    found.sort()
    picked: dict[str, list[Entry]] = {}
    for seq, channel in found:
        if seq > through:
            break
        entry = ring.entry(seq)
        picked.setdefault(channel, []).append(entry)
        budget -= len(entry.payload) + 160
        if budget <= 0:
            through = seq  # the same entry's other channels still come along
    return picked, through, budget
