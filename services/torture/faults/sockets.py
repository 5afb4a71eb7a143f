"""Sockets stop, hang, trickle, break all at once, and are asked to leave."""

import asyncio
import time

from services.torture.burst import Comer
from services.torture.client import Client
from services.torture.line import NOTICED
from services.torture.scene import Fault, until
from services.torture.stage import DRAIN

SOCKETS = frozenset({"sockets"})
FELL_BEHIND = "chorus_live_fell_behind_total"
HISTORY = "chorus_live_history_entries_total"
CLOSES = "chorus_live_closes_total"
CROWD = 4
"""Sockets that are sent away together from which on one can tell whether they go one after the other."""
OPENING = 100
"""Handshakes at once while a crowd first connects."""
MISSED = 20
"""Entries at least that a crowd is away for."""
STILL = 12.0
"""Seconds after which other readers are chosen: who stands still for 15 is closed, and falls behind no more."""


class StoppedReading(Fault):
    """Readers of a topic stop reading while much comes: they fall behind, and catch up."""

    name, family, touches = "readers-stopped", "sockets", frozenset({"sockets", "notify", "postgres"})
    hold = (0.5, 1.5)
    victims: list[Client] = []  # noqa: RUF012 - until they are chosen

    async def inject(self) -> None:
        """See Fault. Large events on one topic fill every buffer on the way, until notify notices."""
        stage = self.scene.stage
        before = {service.name: await stage.metric(service, FELL_BEHIND) for service in stage.notifies}
        anew = 0.0

        async def noticed() -> bool:
            nonlocal anew
            if time.monotonic() >= anew:
                await self.heal()
                await until(self._chosen, "somebody follows a topic, and no proxy's buffers are between")
                for victim in self.victims:
                    victim.line.stop_reading()
                anew = time.monotonic() + STILL
            await stage.fetch(
                """SELECT eventlog.append('bulk', 'torture.bulk', ARRAY[$1], convert_to(
                   json_build_object('words', repeat('x', 16000))::text, 'UTF8')) FROM generate_series(1, 20)""",
                self.channel,
            )
            self.behind = {
                service.name: await stage.metric(service, FELL_BEHIND) - before[service.name]
                for service in stage.notifies
            }
            return any(self.behind[f"notify-{victim.at + 1}"] > 0 and victim.line.full for victim in self.victims)

        await until(noticed, "every buffer of a reader is full, and notify has noticed")
        full = sum(victim.line.full for victim in self.victims)
        where = ", ".join(name for name, number in self.behind.items() if number)
        self.evidence = f"{full} readers of {self.channel} took no more, and sessions fell behind at {where}"

    async def _chosen(self) -> bool:
        clients = [client for client in self.scene.clients if client.live and not client.proxied]
        topics = sorted({c for client in clients for c in client.subscriptions if c.startswith("topic:")})
        if topics:
            self.channel = self.rng.choice(topics)
            readers = [client for client in clients if self.channel in client.subscriptions]
            self.victims = self.rng.sample(readers, min(3, len(readers)))
        return bool(topics)

    async def heal(self) -> None:
        """See Fault."""
        for victim in self.victims:
            victim.line.read_on()


class HalfOpen(Fault):
    """A connection that nothing comes through, in one direction or both, and that nobody closes."""

    name, family, touches = "half-open", "sockets", frozenset({"sockets", "notify"})
    hold = (1.0, 4.0)
    long_hold = 20.0
    """Longer than either end takes to notice."""

    async def inject(self) -> None:
        """See Fault."""
        self.since, self.ended = time.monotonic(), await self._given_up()
        self.door = self.rng.choice(self.scene.stage.doors)
        self.ways = self.rng.choice(
            ([self.door.there], [self.door.back], [self.door.there, self.door.back]),
        )
        self.before = sum(way.held for way in self.ways)
        for way in self.ways:
            way.open.clear()

    async def heal(self) -> None:
        """See Fault. The connections are reset: nothing else would tell that the way is free again."""
        long = time.monotonic() - self.since >= self.long_hold

        async def felt() -> bool:
            return sum(way.held for way in self.ways) > self.before

        async def noticed() -> bool:
            return not long or await self._given_up() > self.ended

        await until(felt, "something was held back")
        await until(noticed, "one end gives the other up")
        held = sum(way.held for way in self.ways) - self.before
        given_up = await self._given_up() - self.ended
        self.door.heal()
        self.evidence = (
            f"{self.door.name}: {held} pieces held back; {given_up:.0f} connections given up,"
            f" {self.door.cut()} reset afterwards"
        )

    async def _given_up(self) -> float:
        """Connections that either end took for dead so far."""
        stage = self.scene.stage
        closed = [await stage.metric(service, CLOSES, 'code="4003"') for service in stage.notifies]
        return sum(closed) + self.scene.book.counts[NOTICED]


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
    """Three notify processes leave one after the other, in good order."""

    name, family, touches = "rolling-restart", "sockets", frozenset({"sockets", "notify"})
    hold = (0.0, 0.2)

    async def inject(self) -> None:
        """See Fault. What runs beside it may have cut everybody off: somebody has to be there to be sent away."""
        stage, book = self.scene.stage, self.scene.book
        before, codes, spreads = book.counts["drained"], [], []
        for number, service in enumerate(stage.notifies):

            async def crowded(at: int = number) -> bool:
                up = [client.line.up for client in self.scene.clients if client.at == at]
                return sum(up) >= min(CROWD, len(up))

            await until(crowded, f"there is a crowd at {service.name}")
            told = len(book.slots)
            codes.append(await service.leave())
            slots = book.slots[told:]
            if len(slots) >= CROWD:
                spreads.append(max(slots) - min(slots))
            service.launch()
            await service.ready(stage.http[service.name])
            await asyncio.sleep(self.rng.uniform(0, 0.3))
        if codes != [0] * len(codes):
            raise AssertionError(f"processes left with {codes}")
        if spreads and min(spreads) < DRAIN / 2:
            raise AssertionError(f"those who were sent away together were to go within {min(spreads):g} s")
        self.drained = book.counts["drained"] - before
        self.spreads = spreads

    async def heal(self) -> None:
        """See Fault. What those who came back had missed was in the memory of the new processes."""
        stage = self.scene.stage

        async def back() -> bool:
            return all(client.line.up for client in self.scene.clients if client.line.reading.is_set())

        await until(back, "everybody is back")
        read = [await stage.metric(service, HISTORY) for service in stage.notifies]
        if any(read):
            raise AssertionError(f"entries read from Postgres for who came back: {read}")
        if self.drained and self.spreads:
            spread = f"{min(self.spreads):.2f} to {max(self.spreads):.2f}"
            self.evidence = (
                f"{len(stage.notifies)} processes left with code 0; {self.drained} clients left as they were asked, "
                f"within {spread} s each time; for nobody was Postgres read"
            )


class Burst(Fault):
    """Thousands of sockets break in one moment, miss something, and come back in one moment, with their positions."""

    name, family, touches = "reconnect-burst", "sockets", frozenset({"sockets", "notify"})
    hold = (0.0, 0.5)

    async def inject(self) -> None:
        """See Fault."""
        stage = self.scene.stage
        heads = await self.scene.ledger.heads()
        as_of = {"epoch": heads.epoch, "seq": list(heads.seq)}
        topics = sorted(self.scene.generator.truth.topics)
        ports = [service.port for service in stage.notifies]
        self.comers = [
            Comer(f"comer-{number}", f"topic:{self.rng.choice(topics)}", as_of, ports[number % len(ports)])
            for number in range(self.scene.burst)
        ]
        gate = asyncio.Semaphore(OPENING)

        async def opens(comer: Comer) -> None:
            async with gate:
                await comer.come(self.rng)

        await asyncio.gather(*map(opens, self.comers))
        before = await self.scene.ledger.heads()
        read = [await stage.metric(service, HISTORY) for service in stage.notifies]
        self.broken = sum([comer.break_off() for comer in self.comers])
        for comer in self.comers:
            comer.missed = 0

        async def gone_on() -> bool:
            return sum((await self.scene.ledger.heads()).seq) >= sum(before.seq) + MISSED

        await until(gone_on, "there is something that they missed")
        began = time.monotonic()
        await asyncio.gather(*(comer.come(self.rng) for comer in self.comers))
        self.measured = {"sockets": len(self.comers), "all live s": time.monotonic() - began}
        self.read = [
            await stage.metric(service, HISTORY) - was for service, was in zip(stage.notifies, read, strict=True)
        ]

    async def heal(self) -> None:
        """See Fault. What each has followed is compared with the log when everything stands still."""
        missed = sum(comer.missed for comer in self.comers)
        self.scene.oracle.passers += [comer.end() for comer in self.comers]
        wrong = [line for comer in self.comers for line in comer.wrong]
        if any(self.read):
            wrong.append(f"entries read from Postgres for who came back: {self.read}")
        if wrong:
            raise AssertionError("; ".join(wrong[:5]))
        if self.broken and missed:
            self.evidence = (
                f"{self.broken} sockets broke at once and came back at once; {missed} events that they had missed came "
                f"first, none of them read from Postgres"
            )


ALL: list[type[Fault]] = [StoppedReading, HalfOpen, Trickle, ReconnectStorm, RollingRestart, Burst]
