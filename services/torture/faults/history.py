"""Postgres loses history: an older data folder, an older dump, a standby that lacks the newest; a new epoch says so."""

import asyncio
import json
import shutil
import signal
import subprocess
from typing import ClassVar

from services.embedded import Postgres, server_account
from services.torture.ledger import Heads
from services.torture.scene import Fault, until
from services.torture.stage import sockets_of, stream_end

EVERYTHING = frozenset({"postgres", "redis", "sequencer", "feed", "notify", "sockets", "log", "clock"})
"""Nothing runs beside it: what was committed by the moment that history goes back to has to be known exactly."""
LOST = 40
"""Entries that are published before they are lost, at least."""
STREAMS = "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn = pg_current_wal_lsn()"


class HistoryLost(Fault):
    """`keep` makes what history goes back to, `go_back` does it; in between more is written, and shown by everybody."""

    family, touches = "postgres", EVERYTHING
    hold = (0.0, 0.2)
    loses_history = True
    because: ClassVar[tuple[str, ...]]
    """Words of which the new epoch's reason has one."""

    async def keep(self) -> None:
        """Nobody writes while it is made."""

    async def go_back(self) -> None:
        """Postgres is as it was when `keep` returned, and runs."""

    async def inject(self) -> None:
        """See Fault."""
        stage, generator, ledger, oracle = self.scene.stage, self.scene.generator, self.scene.ledger, self.scene.oracle
        await generator.pause()
        truth, undecodable, known = generator.truth.copy(), set(oracle.undecodable), ledger.known()
        await self.keep()
        before = await ledger.heads()
        generator.go()
        await until(lambda: self._published(before), "history that will be lost is published")
        await generator.pause()
        if wrong := await oracle.look():  # nobody can hold these chains against the log any more afterwards
            raise AssertionError("; ".join(wrong[:5]))
        lost = await ledger.heads()
        await self.go_back()
        generator.truth, oracle.undecodable = truth, undecodable
        ledger.forget(known)

        async def another() -> bool:
            return (await ledger.heads()).epoch > lost.epoch

        await until(another, "a new epoch is opened")
        now = await ledger.heads()
        rows = await stage.fetch("SELECT reason FROM eventlog.epoch WHERE epoch > $1 ORDER BY epoch", lost.epoch)
        reasons = "; ".join(row["reason"] for row in rows)
        self.scene.book.epoch = now.epoch  # one loss, one new epoch: with every further one all clients fetch again
        generator.go()
        if len(rows) != 1 or not any(words in reasons for words in self.because):
            raise AssertionError(f"{len(rows)} epochs up to {now.epoch} were opened because of this: {reasons}")
        self.evidence = f"from {lost.seq} to {now.seq}, and from epoch {lost.epoch} to {now.epoch}: {reasons}"

    async def _published(self, before: Heads) -> bool:
        async with self.scene.stage.admin() as redis:
            last = await stream_end(redis)
        return last != "" and int(last.partition("-")[2]) > before.seq[0] + LOST


class RestoredOlder(HistoryLost):
    """The data folder is put back as it was some time ago."""

    name = "postgres-restored-older"
    because = ("Redis is ahead",)

    async def keep(self) -> None:
        """See HistoryLost."""
        server = self.scene.stage.postgres
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(_copy, server.data, server.data.with_name("older"))
        await self.scene.stage.run_postgres()

    async def go_back(self) -> None:
        """See HistoryLost."""
        server = self.scene.stage.postgres
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(shutil.rmtree, server.data)
        await asyncio.to_thread(server.data.with_name("older").rename, server.data)
        await self.scene.stage.run_postgres()


class RestoredDump(HistoryLost):
    """The drill: `chorus backup`, and `chorus restore` of it while every service and every client lives."""

    name = "postgres-dump-restored"
    because = ("restored from a backup",)

    async def keep(self) -> None:
        """See HistoryLost."""
        made = await self.scene.stage.chorus("backup", str(self.scene.stage.folder), "--json")
        self.file = json.loads(made)["file"]

    async def go_back(self) -> None:
        """See HistoryLost."""
        pids = [service.pid for service in self.scene.stage.services]
        await self.scene.stage.chorus("restore", self.file, "--replace", "--json")
        if [service.pid for service in self.scene.stage.services if service.running] != pids:
            raise AssertionError("a process did not live through the restore")


class StandbyPromoted(HistoryLost):
    """A physical standby that was cut off from its primary takes over: another timeline, without the newest."""

    name = "postgres-standby-promoted"
    because = ("timeline", "Redis is ahead")

    async def keep(self) -> None:
        """See HistoryLost."""
        stage = self.scene.stage
        self.primary, self.standby = stage.postgres, stage.other_postgres
        await asyncio.to_thread(self.standby.stop)
        await asyncio.to_thread(shutil.rmtree, self.standby.data, ignore_errors=True)
        await asyncio.to_thread(_base_backup, self.primary, self.standby)
        await asyncio.to_thread(self.standby.launch)
        await self._comes_true(self.primary, STREAMS)
        await self._ask(self.standby, "ALTER SYSTEM SET primary_conninfo = ''")
        await self._ask(self.standby, "SELECT pg_reload_conf()")
        await self._comes_true(self.standby, "SELECT count(*) = 0 FROM pg_stat_wal_receiver")

    async def go_back(self) -> None:
        """See HistoryLost."""
        await asyncio.to_thread(self.primary.send, signal.SIGKILL)
        if self.primary.running or not await self._ask(self.standby, "SELECT pg_promote(true, 60)"):
            raise AssertionError("the standby did not take over")
        self.scene.stage.postgres = self.standby

    async def _comes_true(self, server: Postgres, asked: str) -> None:
        async def true() -> bool:
            return bool(await self._ask(server, asked))

        await until(true, asked)

    async def _ask(self, server: Postgres, statement: str) -> object:
        connection = await self.scene.stage.connect(server=server)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()


def _base_backup(primary: Postgres, standby: Postgres) -> None:
    """The standby's data folder is a copy of the primary, from which it would go on."""
    account = server_account()
    tool = str(primary.engine.program.with_name("pg_basebackup"))
    which = ["-D", str(standby.data), "-h", sockets_of(primary), "-p", "5432", "-U", "chorus"]
    subprocess.run(  # noqa: S603 - a program that we chose
        [tool, *which, "-R", "-c", "fast", "--no-sync"],
        check=True,
        cwd=standby.data.parent,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _copy(source: object, target: object) -> None:
    """With owners and modes."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # noqa: S603, S607 - our own folders


ALL: list[type[Fault]] = [RestoredOlder, RestoredDump, StandbyPromoted]
