"""Postgres restarts, crashes, has no connection left, or keeps a transaction open."""

import asyncio
import contextlib
import signal

import asyncpg

from services.torture.scene import Fault, until
from services.torture.stage import stream_end

POSTGRES = frozenset({"postgres"})


class Restarted(Fault):
    """A restart under load: sessions are broken off."""

    name, family, touches = "postgres-restarted", "postgres", POSTGRES
    hold = (0.0, 1.0)

    async def inject(self) -> None:
        """See Fault."""
        self.before = self.scene.stage.postgres.pid
        await asyncio.to_thread(self.scene.stage.postgres.stop)

    async def heal(self) -> None:
        """See Fault."""
        await self.scene.stage.run_postgres()
        if self.scene.stage.postgres.pid != self.before:
            self.evidence = f"pid {self.before} left, pid {self.scene.stage.postgres.pid} took over"


class CrashedAfterPublish(Fault):
    """kill -9 of the postmaster in the moment in which Redis has got something new."""

    name, family, touches = "postgres-crashed", "postgres", frozenset({"postgres", "redis", "sequencer"})
    hold = (0.0, 0.5)

    async def inject(self) -> None:
        """See Fault. What Redis had then must be in Postgres afterwards."""
        stage = self.scene.stage
        async with stage.admin() as redis:
            before = after = await stream_end(redis)
            async with asyncio.timeout(60):
                while after in (before, ""):
                    after = await stream_end(redis)
            stage.postgres.send(signal.SIGKILL)
            self.published = await stream_end(redis)
        self.evidence = f"the postmaster died right after {after} was published" if not stage.postgres.running else ""

    async def heal(self) -> None:
        """See Fault."""
        await self.scene.stage.run_postgres()
        epoch, _, seq = self.published.partition("-")
        heads = await self.scene.ledger.heads()
        if heads.epoch != int(epoch) or heads.seq[0] < int(seq):
            raise AssertionError(f"{self.published} was published, and Postgres came back at {heads}")


SESSIONS = """SELECT count(*) FROM pg_stat_activity
    WHERE usename IN ('chorus_feed', 'chorus_notify') AND application_name <> ''"""
"""Those of the services; the ones that take the slots have no name."""
END = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename IN ('chorus_feed', 'chorus_notify') AND application_name <> ''"""


class Exhausted(Fault):
    """Every connection slot is taken, by somebody else."""

    name, family, touches = "postgres-exhausted", "postgres", POSTGRES
    hold = (0.5, 2.0)

    async def inject(self) -> None:
        """See Fault. The services' own sessions are ended, so that they have to find a slot again, and find too few."""
        self.held: list[asyncpg.Connection[asyncpg.Record]] = []
        admin = await self.scene.stage.connect()
        before: int = await admin.fetchval(SESSIONS)

        async def felt() -> bool:
            await admin.execute(END)
            refused = await self._fill()
            left: int = await admin.fetchval(SESSIONS)
            if left < before:
                self.evidence = (
                    f"with {len(self.held)} of ours: {refused}; of their {before} sessions there were {left}"
                )
            return left < before

        try:
            await until(felt, "the services have fewer sessions than they had, and no slot is free")
        finally:
            await admin.close()

    async def _fill(self) -> str:
        """Takes slots until there is none; how the last one was refused."""
        while True:
            try:
                self.held.append(await self.scene.stage.connect("chorus_notify"))
            except (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError) as error:
                return str(error)

    async def heal(self) -> None:
        """See Fault."""
        for connection in self.held:
            with contextlib.suppress(Exception):
                await connection.close(timeout=5)


class HeldOpen(Fault):
    """A transaction with an event in it stays open while others commit: only its own event is late."""

    name, family, touches = "postgres-held-open", "postgres", POSTGRES
    hold, long_hold = (1.0, 4.0), 60.0

    async def inject(self) -> None:
        """See Fault."""
        self.connection = await self.scene.stage.connect()
        self.transaction = self.connection.transaction()
        await self.transaction.start()
        self.event_id: int = await self.connection.fetchval(
            "SELECT eventlog.append('tea', 'torture.held', ARRAY['topic:tea'], '{}'::bytea)"
        )
        self.before = await self.scene.ledger.heads()

    async def heal(self) -> None:
        """See Fault."""

        async def moved() -> bool:
            return sum((await self.scene.ledger.heads()).seq) > sum(self.before.seq)

        await until(moved, "others are numbered beside the open transaction")
        now = await self.scene.ledger.heads()
        await self.transaction.commit()

        async def numbered() -> bool:
            seq = await self.connection.fetchval("SELECT seq FROM eventlog.entry WHERE event_id = $1", self.event_id)
            return seq is not None and seq > 0

        await until(numbered, "the late event is numbered")
        await self.connection.close()
        self.evidence = f"the log went from {self.before.seq} to {now.seq} beside it"


ALL: list[type[Fault]] = [Restarted, CrashedAfterPublish, Exhausted, HeldOpen]
