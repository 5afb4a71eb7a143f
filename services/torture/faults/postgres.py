"""Postgres restarts, crashes, has no connection left, keeps a transaction open, or wakes up as it was long ago."""

import asyncio
import contextlib
import shutil
import signal
import subprocess

import asyncpg
from redis.exceptions import RedisError

from services.torture.scene import Fault, until
from services.torture.stage import STREAM

POSTGRES = frozenset({"postgres"})
EVERYTHING = frozenset({"postgres", "redis", "sequencer", "feed", "notify", "sockets", "log", "clock"})


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
            before = after = await _last(redis)
            async with asyncio.timeout(60):
                while after in (before, ""):
                    after = await _last(redis)
            stage.postgres.send(signal.SIGKILL)
            self.published = await _last(redis)
        self.evidence = f"the postmaster died right after {after} was published" if not stage.postgres.running else ""

    async def heal(self) -> None:
        """See Fault."""
        await self.scene.stage.run_postgres()
        epoch, _, seq = self.published.partition("-")
        heads = await self.scene.ledger.heads()
        if heads.epoch != int(epoch) or heads.seq[0] < int(seq):
            raise AssertionError(f"{self.published} was published, and Postgres came back at {heads}")


class Exhausted(Fault):
    """Every connection slot is taken, by somebody else."""

    name, family, touches = "postgres-exhausted", "postgres", POSTGRES
    hold = (0.5, 2.0)

    async def inject(self) -> None:
        """See Fault. The services' own sessions are ended first, so that they have to find a slot again."""
        stage = self.scene.stage
        self.held: list[asyncpg.Connection[asyncpg.Record]] = []
        admin = await stage.connect()
        try:
            for _ in range(400):
                try:
                    self.held.append(await stage.connect("chorus_notify"))
                except (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError) as error:
                    if self.evidence:
                        break
                    self.evidence = f"with {len(self.held)} of ours: {error}"
                    await admin.execute(
                        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                           WHERE usename IN ('chorus_feed', 'chorus_notify') AND application_name <> ''"""
                    )
        finally:
            await admin.close()

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


class RestoredOlder(Fault):
    """The data folder is put back as it was some time ago: history is lost, and a new epoch says so."""

    name, family, touches = "postgres-restored-older", "postgres", EVERYTHING
    hold = (0.0, 0.2)

    async def inject(self) -> None:
        """See Fault. The copy is made while nobody writes, so that what was committed by then is known."""
        stage, generator = self.scene.stage, self.scene.generator
        copy = stage.folder / "pg" / "older"
        await generator.pause()
        truth, undecodable = generator.truth.copy(), set(self.scene.oracle.undecodable)
        await asyncio.to_thread(stage.postgres.stop)
        await asyncio.to_thread(_copy, stage.postgres.data, copy)
        await stage.run_postgres()
        before = await self.scene.ledger.heads()
        generator.go()

        async def gone_on() -> bool:
            async with stage.admin() as redis:
                with contextlib.suppress(RedisError):
                    return int((await _last(redis)).partition("-")[2] or 0) > before.seq[0] + 40
            return False

        await until(gone_on, "history that will be lost is published")
        await generator.pause()
        if wrong := await self.scene.oracle.look():  # nobody can hold these chains against the log any more afterwards
            raise AssertionError("; ".join(wrong[:5]))
        lost = await self.scene.ledger.heads()
        await asyncio.to_thread(stage.postgres.stop)
        await asyncio.to_thread(shutil.rmtree, stage.postgres.data)
        await asyncio.to_thread(_copy, copy, stage.postgres.data)
        await asyncio.to_thread(shutil.rmtree, copy)
        generator.truth, self.scene.oracle.undecodable = truth, undecodable
        await stage.run_postgres()

        async def another() -> bool:
            return (await self.scene.ledger.heads()).epoch > lost.epoch

        await until(another, "a new epoch is opened")
        now = await self.scene.ledger.heads()
        generator.go()
        self.evidence = f"it went back from {lost.seq} to {now.seq}, and from epoch {lost.epoch} to {now.epoch}"


def _copy(source: object, target: object) -> None:
    """With owners and modes."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # noqa: S603, S607 - our own folders


async def _last(redis: object) -> str:
    about = await redis.xinfo_stream(STREAM)  # type: ignore[attr-defined]
    last: str = about["last-generated-id"].decode()
    return last


ALL: list[type[Fault]] = [Restarted, CrashedAfterPublish, Exhausted, HeldOpen, RestoredOlder]
