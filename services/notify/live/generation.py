"""Everything that lives in one epoch: rings, hub, recovery, homes. A new epoch gets a new generation."""

import asyncio
from collections.abc import Callable, Sequence

from services.notify.live import metrics
from services.notify.live.codes import Close
from services.notify.live.fanout import reset
from services.notify.live.frames import Asked
from services.notify.live.history import History
from services.notify.live.home import Homes
from services.notify.live.hub import Hub
from services.notify.live.recovery import Recovery, recovered
from services.notify.live.ring import Ring
from services.notify.live.session import Session, Subscription
from shared.postgres import Pool


class Generation:
    """One epoch's live side. `run` keeps rounds, recoveries and marks going; `close` ends what `run` does not own.
    `retired`: another epoch has begun, and whoever still lives in this one gets no answer but 4006."""

    def __init__(
        self,
        pool: Pool,
        epoch: int,
        rings: Sequence[Ring],
        known_head: Callable[[int], int],
        mark_interval: float,
        load: int,
    ) -> None:
        self.hub = Hub(epoch, rings, load)
        self.history = History(pool, self.hub, known_head, self._unable)
        self.recovery = Recovery(self.hub, self.history)
        self.hub.on_behind = self.recovery.resume
        self.homes = Homes(pool, self.hub, self.recovery)
        self._mark_interval = mark_interval
        self.retired = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.hub.run(), name="rounds")
            tasks.create_task(self.recovery.run(), name="recovery")
            tasks.create_task(self._mark(), name="marks")

    async def close(self) -> None:
        """No read goes on any more. Safe twice."""
        await self.homes.close()
        await self.history.close()

    def start(self, session: Session, name: str, request_id: int | None, since: tuple[int, ...] | None) -> None:
        """The session follows `name`; `subscribed` or `reset` tells when and whether."""
        if name == "home":
            self.homes.start(session, request_id, since)
        else:
            self.recovery.start(session, Subscription(name, request_id, since))

    def refuse(self, session: Session, asked: Asked, reason: str) -> None:
        """The session does not follow what it asked for, nor goes on doing so: `reset`."""
        name = asked.channel
        old = session.subscriptions.get(name)
        if old is not None:
            self.hub.drop(session, old)
        if asked.since is not None:
            metrics.RECOVERIES.labels("none", reason).inc()
        metrics.RESETS.labels(reason).inc()
        session.outlet.tell(reset(name, reason))

    def _unable(self) -> None:
        """Postgres can't be asked: those who wait for its answer come back later."""
        for session in list(self.hub.sessions):
            waiting = [s for s in session.subscriptions.values() if s.waiting]
            for subscription in waiting:
                recovered(subscription, "unavailable", "postgres")
                self.hub.drop(session, subscription)
            if session.fetching:
                metrics.CATCH_UPS.labels("postgres", "unavailable").inc()
            if session.fetching or waiting:
                session.outlet.end(Close.NOT_NOW)

    async def _mark(self) -> None:
        while True:
            await asyncio.sleep(self._mark_interval)
            self.hub.want_marks()
