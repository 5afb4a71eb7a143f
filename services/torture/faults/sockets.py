"""Sockets stop, hang, trickle, break all at once, and are asked to leave."""

import asyncio

from services.torture.client import Client
from services.torture.scene import Fault, until

SOCKETS = frozenset({"sockets"})


class StoppedReading(Fault):
    """Readers of a topic stop reading while much comes; they alone fall behind, and catch up."""

    name, family, touches = "readers-stopped", "sockets", frozenset({"sockets", "notify", "postgres"})
    hold = (0.5, 1.5)

    async def inject(self) -> None:
        """See Fault. Large events on one topic fill every buffer on the way."""
        topics = sorted({c for client in self.scene.clients for c in client.subscriptions if c.startswith("topic:")})
        channel = self.rng.choice(topics)
        readers = [client for client in self.scene.clients if channel in client.subscriptions and client.live]
        self.victims = self.rng.sample(readers, min(5, len(readers)))
        for victim in self.victims:
            victim.line.reading.clear()
        connection = await self.scene.stage.connect()
        try:
            for _ in range(10):
                await connection.execute(
                    """SELECT eventlog.append('bulk', 'torture.bulk', ARRAY[$1], convert_to(
                       json_build_object('words', repeat('x', 16000))::text, 'UTF8')) FROM generate_series(1, 20)""",
                    channel,
                )
        finally:
            await connection.close()

        async def full() -> bool:
            return any(victim.line.full for victim in self.victims)

        await until(full, "a reader's own buffers are full")
        self.evidence = f"{sum(v.line.full for v in self.victims)} readers of {channel} took no more from the kernel"

    async def heal(self) -> None:
        """See Fault."""
        for victim in self.victims:
            victim.line.reading.set()


class HalfOpen(Fault):
    """A connection that nothing comes through, in one direction or both, and that nobody closes."""

    name, family, touches = "half-open", "sockets", SOCKETS
    hold = (1.0, 4.0)

    async def inject(self) -> None:
        """See Fault."""
        self.door = self.rng.choice(self.scene.stage.doors)
        self.ways = self.rng.choice(
            ([self.door.there], [self.door.back], [self.door.there, self.door.back]),
        )
        self.before = sum(way.held for way in self.ways)
        for way in self.ways:
            way.open.clear()

    async def heal(self) -> None:
        """See Fault. The connections are reset: nothing else would tell that the way is free again."""

        async def felt() -> bool:
            return sum(way.held for way in self.ways) > self.before

        await until(felt, "something was held back")
        held = sum(way.held for way in self.ways) - self.before
        self.door.heal()
        self.evidence = f"{self.door.name}: {held} pieces held back; {self.door.cut()} connections reset afterwards"


class Trickle(Fault):
    """Sockets that pass a byte at a time."""

    name, family, touches = "byte-at-a-time", "sockets", SOCKETS
    hold = (0.5, 2.0)

    async def inject(self) -> None:
        """See Fault."""
        self.door = self.rng.choice(self.scene.stage.doors)
        self.before = self.door.back.sips
        self.door.there.sip = self.door.back.sip = 1
        self.door.cut()  # handshakes trickle too

    async def heal(self) -> None:
        """See Fault."""

        async def felt() -> bool:
            return self.door.back.sips - self.before > 100

        await until(felt, "a hundred bytes came one by one")
        self.evidence = f"{self.door.name}: {self.door.back.sips - self.before} bytes came one by one"
        self.door.heal()


class ReconnectStorm(Fault):
    """Every socket breaks in the same moment, and all come back."""

    name, family, touches = "all-reconnect", "sockets", frozenset({"sockets", "notify"})
    hold = (0.0, 0.5)

    async def inject(self) -> None:
        """See Fault."""
        self.cut: list[tuple[Client, int]] = []

        async def cut() -> bool:
            for client in self.scene.clients:
                connections = client.connections
                if client.line.cut():
                    self.cut.append((client, connections))
            return bool(self.cut)

        await until(cut, "somebody is connected, whatever else happens just now")

    async def heal(self) -> None:
        """See Fault."""

        async def back() -> bool:
            return all(client.connections > before for client, before in self.cut)

        await until(back, "everybody is back")
        self.evidence = f"{len(self.cut)} sockets broke at once, and came back"


class RollingRestart(Fault):
    """The notify processes leave one after the other, in good order."""

    name, family, touches = "rolling-restart", "sockets", frozenset({"sockets", "notify"})
    hold = (0.0, 0.2)

    async def inject(self) -> None:
        """See Fault."""
        codes = []
        before = self.scene.book.counts["drained"]
        for service in self.scene.stage.notifies:
            codes.append(await service.leave())
            service.launch()
            await service.ready(self.scene.stage.http[service.name])
            await asyncio.sleep(self.rng.uniform(0, 0.3))
        drained = self.scene.book.counts["drained"] - before
        if codes == [0] * len(codes):
            self.evidence = f"{len(codes)} processes left with code 0; {drained} clients left when they were asked to"
        else:
            raise AssertionError(f"processes left with {codes}")


ALL: list[type[Fault]] = [StoppedReading, HalfOpen, Trickle, ReconnectStorm, RollingRestart]
