"""A zero window: readers whose kernels take no more, seen from the server's side."""

from pathlib import Path

from services.torture.burst import Comer
from services.torture.faults.sockets import FELL_BEHIND
from services.torture.scene import Fault, until

CHANNEL = "topic:torturewindow"
READERS = 4
WINDOW = 4096
"""Bytes that a reader's kernel holds."""
PROBING = 4
"""What /proc/net/tcp says of a socket whose kernel asks a closed window whether it is open again."""


class ZeroWindow(Fault):
    """Readers close their windows while much comes: the server's kernel probes them, they fall behind, and catch up."""

    name, family, touches = "zero-window", "sockets", frozenset({"sockets", "notify", "postgres"})
    hold = (0.0, 1.0)

    async def inject(self) -> None:
        """See Fault. Nobody else follows the channel, so that only theirs is at stake."""
        stage = self.scene.stage
        heads = await self.scene.ledger.heads()
        as_of = {"epoch": heads.epoch, "seq": list(heads.seq)}
        server = self.rng.choice(stage.notifies)
        self.readers = [Comer(f"window-{n}", CHANNEL, as_of, server.port, WINDOW) for n in range(READERS)]
        for reader in self.readers:
            await reader.come(self.rng)
        before = await stage.metric(server, FELL_BEHIND)

        async def noticed() -> bool:
            for reader in self.readers:  # who stands still for 15 s is closed, and this machine may be slow
                if not reader.local_port:
                    await reader.come(self.rng)
                reader.stop_reading()
            await stage.fetch(
                """SELECT eventlog.append('bulk', 'torture.bulk', ARRAY[$1], convert_to(
                   json_build_object('words', repeat('x', 16000))::text, 'UTF8')) FROM generate_series(1, 20)""",
                CHANNEL,
            )
            self.behind = await stage.metric(server, FELL_BEHIND) - before
            self.probed = _probed(server.port, {reader.local_port for reader in self.readers})
            return self.behind >= READERS and len(self.probed) == READERS

        await until(noticed, "every window is closed, and notify has noticed")
        self.server = server.name

    async def heal(self) -> None:
        """See Fault. Who stood still for long was closed, and comes back from where it was."""
        end = await self.scene.ledger.heads()
        for reader in self.readers:
            reader.read_on()

        async def caught_up() -> bool:
            for reader in self.readers:
                if not reader.local_port:
                    await reader.come(self.rng)
            held = [reader.chain.mine or [0] for reader in self.readers]
            return all(mine >= seq for each in held for mine, seq in zip(each, end.seq, strict=True))

        await until(caught_up, "everybody has caught up")
        self.scene.oracle.passers += [reader.end() for reader in self.readers]
        if wrong := [line for reader in self.readers for line in reader.wrong]:
            raise AssertionError("; ".join(wrong[:5]))
        waiting = sum(self.probed.values())
        self.evidence = (
            f"{self.server}'s kernel probed {len(self.probed)} closed windows with {waiting} bytes waiting, and it "
            f"noticed {self.behind:.0f} times that a session fell behind; all caught up"
        )


def _probed(server: int, peers: set[int]) -> dict[int, int]:
    """The peers whose windows that server's kernel probes, and the bytes that wait for each."""
    found = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, _, queues, timer, *_ = line.split()
        peer = int(remote.partition(":")[2], 16)
        if int(local.partition(":")[2], 16) == server and peer in peers and int(timer.partition(":")[0], 16) == PROBING:
            found[peer] = int(queues.partition(":")[0], 16)
    return found


ALL: list[type[Fault]] = [ZeroWindow]
