"""Redis is gone, or stands still, and events go on arriving within a second: from Postgres."""

import asyncio
import random
import signal
import time

from services.torture.process import stopped
from services.torture.scene import Fault, Scene, until

WITHIN = 1000.0
"""Milliseconds in which events come from Postgres while Redis is of no use; held against the 95th percentile, since
everything in a run shares two cores."""
LATE = 3.0
"""Seconds after it is over in which what was held up is waited for, so that it counts as well."""


class Measured(Fault):
    """A fault during which events must go on arriving; `measured` says how fast those arrived that are of its time."""

    family = "redis"
    touches = frozenset({"redis", "postgres", "notify", "sequencer", "feed"})
    hold = (2.5, 4.0)

    def __init__(self, scene: Scene, rng: random.Random) -> None:
        super().__init__(scene, rng)
        self._since = self._until = 0.0

    async def inject(self) -> None:
        """See Fault. A leader that took over a moment ago has to number again first: that is no outage of Redis's."""
        before = await self.scene.ledger.heads()

        async def moved() -> bool:
            return sum((await self.scene.ledger.heads()).seq) > sum(before.seq)

        await until(moved, "the log goes on")

    def start(self) -> None:
        """Events count from now on."""
        self._since = time.time()

    def stop(self) -> None:
        """No later event counts. What Redis's return brings at once has not arrived by itself."""
        self._until = time.time()

    async def judge(self) -> None:
        """Once what was held up has come too. Raises AssertionError when events took too long, or none came."""
        from services.torture.run import spread

        await asyncio.sleep(LATE)
        taken = [seconds for when, seconds in self.scene.book.latencies if self._since < when - seconds < self._until]
        self.measured = {f"{name} ms": value for name, value in spread(taken).items()} | {"events": len(taken)}
        if len(taken) < 2:
            raise AssertionError("hardly an event of its time was seen by anybody")
        if self.measured["p95 ms"] > WITHIN:
            raise AssertionError(f"one event of twenty took longer than {WITHIN:g} ms: {self.measured}")


class Down(Measured):
    """Redis is gone for a while: events arrive from Postgres."""

    name = "redis-down"
    long_hold = 60.0

    async def inject(self) -> None:
        """See Fault."""
        await super().inject()
        server = self.scene.stage.redis
        await asyncio.to_thread(server.stop)
        self.start()

    async def heal(self) -> None:
        """See Fault."""
        down = not self.scene.stage.redis.running
        self.stop()
        await self.scene.stage.run_redis(self.scene.stage.redis)
        await self.judge()
        if down:
            self.evidence = f"nobody answered, and {self.measured['events']:.0f} events of that time arrived"


class Hung(Measured):
    """Redis stands still and keeps its connections: worse than gone."""

    name = "redis-hung"

    async def inject(self) -> None:
        """See Fault."""
        await super().inject()
        self.scene.stage.redis.send(signal.SIGSTOP)
        self.start()

    async def heal(self) -> None:
        """See Fault."""
        still = stopped(self.scene.stage.redis.pid or 0)
        self.stop()
        self.scene.stage.redis.send(signal.SIGCONT)
        await self.judge()
        if still:
            self.evidence = f"it stood still, and {self.measured['events']:.0f} events of that time arrived"
