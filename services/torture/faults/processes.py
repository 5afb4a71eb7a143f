"""Processes of ours die, at random or between two named steps, or stand still and wake up late."""

import asyncio
import contextlib
import random
import signal
from typing import Any, ClassVar

import msgspec
import websockets

from services.torture.process import UNAVAILABLE, Service, stopped
from services.torture.scene import Fault, Scene, until
from services.torture.stage import STREAM

Json = dict[str, Any]


class Killed(Fault):
    """kill -9 at some moment, and a new process after a while."""

    command: ClassVar[str]

    async def inject(self) -> None:
        """See Fault."""
        stage = self.scene.stage
        self.victim = self.rng.choice([s for s in stage.services if s.command == self.command])
        pid = self.victim.pid
        if await self.victim.kill():
            self.evidence = f"{self.victim.name}, pid {pid}, died of SIGKILL"

    async def heal(self) -> None:
        """See Fault."""
        await self.scene.stage.all_ready(self.command)  # others may be dead because another fault wants them so


class SequencerKilled(Killed):
    """A sequencer dies at random."""

    name, family, touches, command = "sequencer-killed", "sequencer", frozenset({"sequencer"}), "sequencer"


class FeedKilled(Killed):
    """The feed dies at random."""

    name, family, touches, command = "feed-killed", "feed", frozenset({"feed"}), "feed"


class NotifyKilled(Killed):
    """A notify process dies at random."""

    name, family, touches, command = "notify-killed", "notify", frozenset({"notify"}), "notify"


class KilledAt(Fault):
    """A process that dies at a named point, at an arrival that the seed chooses: proven by its own log."""

    command: ClassVar[str]
    point: ClassVar[str]
    last_arrival: ClassVar[int] = 8

    def __init__(self, scene: Scene, rng: random.Random) -> None:
        super().__init__(scene, rng)
        candidates = [s for s in scene.stage.services if s.command == self.command]
        self.victim: Service = rng.choice(candidates)
        self.arms = f"{self.point}=kill@{rng.randint(1, self.last_arrival)}"

    async def inject(self) -> None:
        """See Fault."""
        await self.make_way()
        before = len(self.victim.fired())
        while await self._life() == UNAVAILABLE:
            pass  # another fault has taken what it needs, and each start waits for that: do as a supervisor does
        fired = self.victim.fired()[before:]
        if fired and self.victim.exit_code == -signal.SIGKILL:
            self.evidence = f"{self.victim.name} was killed by itself at {fired[-1]['point']}, pid {fired[-1]['pid']}"

    async def _life(self) -> int:
        """The exit code of one armed process."""
        self.victim.launch(arms=self.arms)
        async with asyncio.TaskGroup() as tasks:
            # Not cancelled: a client's wait_for on 3.11 may drop that.
            tasks.create_task(self.provoke())
            return await self.victim.ended()

    async def heal(self) -> None:
        """See Fault."""
        await self.victim.kill()
        await self.scene.stage.all_ready(self.command)  # others may be dead because another fault wants them so

    async def make_way(self) -> None:
        """The armed process will be the one that gets there."""
        await self.victim.kill()

    async def provoke(self) -> None:
        """Whatever it takes to get there, beside the community, for as long as the victim runs."""


class SequencerKilledAt(KilledAt):
    """A sequencer dies between two steps. The others die first, so that the armed one leads."""

    family, touches, command = "sequencer", frozenset({"sequencer", "redis"}), "sequencer"

    async def make_way(self) -> None:
        """See KilledAt."""
        for service in self.scene.stage.sequencers:
            await service.kill()


class BeforeNumbering(SequencerKilledAt):
    """The sequencer dies before it numbers what was committed."""

    name, point, last_arrival = "sequencer-before-numbering", "sequencer:numbering", 60


class AfterNumbering(SequencerKilledAt):
    """The sequencer dies after numbering, before anything is published."""

    name, point = "sequencer-after-numbering", "sequencer:numbered"


class BeforePublishing(SequencerKilledAt):
    """The sequencer dies with a page in its hand."""

    name, point = "sequencer-before-publishing", "sequencer:publishing"


class MidPublish(SequencerKilledAt):
    """The sequencer dies between two pages of a backlog."""

    name, point, last_arrival = "sequencer-mid-publish", "sequencer:between_pages", 1

    async def make_way(self) -> None:
        """See KilledAt. A page is a thousand entries, so more than that have to wait."""
        await super().make_way()
        await self.scene.stage.fetch(
            """SELECT eventlog.append('bulk', 'torture.bulk', ARRAY['topic:torturebulk'], '{}'::bytea)
               FROM generate_series(1, 2500)"""
        )


class AfterPublish(SequencerKilledAt):
    """The sequencer dies after publishing, before it knows."""

    name, point = "sequencer-after-publish", "sequencer:published"


class MidRefill(SequencerKilledAt):
    """The sequencer dies when a flushed stream is begun anew, before it is refilled."""

    name, point, last_arrival = "sequencer-mid-refill", "sequencer:begun", 1

    async def provoke(self) -> None:
        """See KilledAt."""
        while self.victim.running:
            async with self.scene.stage.admin() as redis:
                await redis.delete(STREAM)
            await asyncio.sleep(0.5)


class FeedBeforeCommit(KilledAt):
    """The feed dies with everything written and nothing committed."""

    name, family, touches, command = "feed-before-commit", "feed", frozenset({"feed"}), "feed"
    point, last_arrival = "feed:committing", 20


class FeedAfterCommit(KilledAt):
    """The feed dies after the commit, before the answer."""

    name, family, touches, command = "feed-after-commit", "feed", frozenset({"feed"}), "feed"
    point, last_arrival = "feed:committed", 20


class NotifierBeforeCursor(KilledAt):
    """The notifier dies between an inbox's row and its cursor."""

    name, family, touches, command = "notifier-before-cursor", "notify", frozenset({"notify"}), "notify"
    point = "notifier:written"


class NotifierAfterCursor(KilledAt):
    """The notifier dies with its cursor moved, and nothing committed."""

    name, family, touches, command = "notifier-after-cursor", "notify", frozenset({"notify"}), "notify"
    point = "notifier:moved"


class NotifierAfterCommit(KilledAt):
    """The notifier dies right after a commit."""

    name, family, touches, command = "notifier-after-commit", "notify", frozenset({"notify"}), "notify"
    point = "notifier:committed"


class MidReplay(KilledAt):
    """A notify process dies in the middle of a long replay."""

    name, family, touches, command = "notify-mid-replay", "notify", frozenset({"notify"}), "notify"
    point, last_arrival = "recovery:between_pieces", 2

    async def provoke(self) -> None:
        """See KilledAt: readers who held nothing but the beginning."""
        stage = self.scene.stage
        url = stage.live_url(stage.notifies.index(self.victim), through_proxy=False)
        while self.victim.running:
            hello = msgspec.json.encode(await self._from_the_beginning()).decode()
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                connecting = websockets.connect(
                    url, subprotocols=[websockets.Subprotocol("chorus.v1")], compression=None, proxy=None
                )
                async with asyncio.timeout(5), connecting as socket:
                    await socket.send(hello)
                    while True:
                        await socket.recv()
            await asyncio.sleep(0.1)

    async def _from_the_beginning(self) -> Json:
        """Of what retention has left, which may just now take more."""
        epoch = (await self.scene.ledger.heads()).epoch
        floors = await self.scene.stage.fetch("SELECT floor FROM eventlog.retained ORDER BY log")
        since = {"epoch": epoch, "seq": [row["floor"] - 1 for row in floors]}
        channels = [f"topic:{slug}" for slug in sorted(self.scene.generator.truth.topics)][:20]
        return {"type": "hello", "id": 1, "subscribe": [{"channel": c, "since": since} for c in channels]}


class LeaderStopped(Fault):
    """The leading sequencer stands still until another leads, and then wakes up."""

    name, family, touches = "leader-stopped", "sequencer", frozenset({"sequencer", "postgres"})
    hold = (0.0, 0.3)

    async def inject(self) -> None:
        """See Fault. Who leads log 0 is told by nobody: stopped is whoever loses the lock by standing still."""
        for candidate in self.rng.sample(self.scene.stage.sequencers, len(self.scene.stage.sequencers)):
            holder = await self._holder()
            candidate.signal(signal.SIGSTOP)
            try:
                await self._loses(candidate, holder)
                if self.evidence:
                    return
            finally:
                candidate.signal(signal.SIGCONT)

    async def _loses(self, candidate: Service, holder: int | None) -> None:
        """Standing still for longer than a leader may be silent."""
        for _ in range(60):
            await asyncio.sleep(0.1)
            now = await self._holder()
            if now is not None and holder is not None and now != holder and stopped(candidate.pid):
                self.evidence = f"{candidate.name} stood still, and backend {now} leads instead of {holder}"
                return

    async def _holder(self) -> int | None:
        held = await self.scene.stage.fetch(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 4702 AND objid = 0 AND granted"
        )
        return held[0]["pid"] if held else None

    async def heal(self) -> None:
        """See Fault."""

        async def leads() -> bool:
            return await self._holder() is not None

        await until(leads, "somebody leads log 0")


ALL: list[type[Fault]] = [
    SequencerKilled,
    BeforeNumbering,
    AfterNumbering,
    BeforePublishing,
    MidPublish,
    AfterPublish,
    MidRefill,
    LeaderStopped,
    FeedKilled,
    FeedBeforeCommit,
    FeedAfterCommit,
    NotifyKilled,
    NotifierBeforeCursor,
    NotifierAfterCursor,
    NotifierAfterCommit,
    MidReplay,
]
