"""Processes of ours die, at random or between two named steps, or stand still and wake up late."""

from services.torture.process import Service
from services.torture.scene import Fault


class Killed(Fault):
    """kill -9 at some moment, and a new process after a while."""

    command: str

    async def inject(self) -> None:
        """See Fault."""
        stage = self.scene.stage
        self.victim: Service = self.rng.choice([s for s in stage.services if s.command == self.command])
        pid = self.victim.pid
        if await self.victim.kill():
            self.evidence = f"{self.victim.name}, pid {pid}, died of SIGKILL"

    async def heal(self) -> None:
        """See Fault."""
        self.victim.launch()
        await self.victim.ready(self.scene.stage.http.get(self.victim.name))


class SequencerKilled(Killed):
    """A sequencer, at random."""

    name, family, touches, command = "sequencer-killed", "sequencer", frozenset({"sequencer"}), "sequencer"


ALL: list[type[Fault]] = [SequencerKilled]
