"""A primary and a physical standby that streams from it, both reached by one address that finds who may be written."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg

from services.embedded import Postgres, server_account
from shared.postgres import migrate
from tests.servers import Database, at_once

PATIENCE = 30.0
_STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn = pg_current_wal_lsn()"


class Pair:
    """Migrated, and the standby has all of it; `database` is what the services are told."""

    def __init__(self, folder: Path) -> None:
        settings = {"hot_standby": "on", "wal_receiver_timeout": "2s"}
        self.primary = Postgres(folder / "primary", durable=False, settings=settings)
        self.standby = Postgres(folder / "standby", durable=False, settings=settings)

    @property
    def database(self) -> Database:
        return Database("chorus", self._url("chorus_feed"), self._url("chorus_notify"), self._url("chorus"))

    @contextmanager
    def running(self) -> Iterator["Pair"]:
        try:
            self.primary.start()
            at_once(migrate(self.primary.url()))
            self._copy()
            self.standby.launch()
            self._await(self.primary, _STREAMS)
            yield self
        finally:
            self.standby.stop(grace=3)
            self.primary.stop(grace=3)

    def cut(self) -> None:
        """The standby hears no more of the primary."""
        at_once(_execute(self.standby.url(), "ALTER SYSTEM SET primary_conninfo = ''"))
        at_once(_execute(self.standby.url(), "SELECT pg_reload_conf()"))
        self._await(self.standby, "SELECT count(*) = 0 FROM pg_stat_wal_receiver")

    def caught_up(self) -> None:
        """The standby has what the primary has."""
        self._await(self.primary, _STREAMS)

    def promote(self) -> None:
        """The standby may be written."""
        at_once(_execute(self.standby.url(), "SELECT pg_promote(true, 20)"))

    def _copy(self) -> None:
        account = server_account()
        tool = self.primary.engine.program.with_name("pg_basebackup")
        target = self.standby.data
        subprocess.run(
            [
                str(tool),
                "-D",
                str(target),
                "-h",
                sockets_of(self.primary),
                "-p",
                "5432",
                "-U",
                "chorus",
                "-R",
                "-c",
                "fast",
                "--no-sync",
            ],
            check=True,
            cwd=target.parent,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    def _url(self, role: str) -> str:
        hosts = ",".join(quote(sockets_of(server), safe="") for server in (self.primary, self.standby))
        return f"postgresql://{role}@/chorus?host={hosts}&port=5432,5432&target_session_attrs=read-write"

    def _await(self, server: Postgres, asked: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not at_once(_value(server.url(), asked)):
            assert time.monotonic() < deadline, f"not in time: {asked}"
            time.sleep(0.05)


def sockets_of(server: Postgres) -> str:
    """The folder in which a server's socket stands."""
    return parse_qs(urlsplit(server.url()).query)["host"][0]


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _value(url: str, asked: str) -> object:
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError):
        return None  # a standby that is still starting
    try:
        return await connection.fetchval(asked)
    finally:
        await connection.close()
