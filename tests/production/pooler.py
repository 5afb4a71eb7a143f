"""PgBouncer in transaction mode in front of the services; where it leads can be changed while it runs."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from services.bench.stack import free_port
from services.embedded import Child, server_account
from shared.postgres import connecting
from tests.eventlog.rig import until
from tests.needed import needed
from tests.servers import Database

SERVERS = 3
"""Servers that one role gets: fewer than any process of ours has connections, so that transactions have to share."""
LIMITS = (
    "lock_timeout = '2s'",
    "statement_timeout = '15s'",
    "idle_in_transaction_session_timeout = '10s'",
    "jit = off",
)


class Pooler:
    """In `folder`, leading the two services to `database` in the server behind the folder `sockets`."""

    def __init__(self, folder: Path, database: Database, sockets: str) -> None:
        self._program, self._port = needed("pgbouncer", "pgbouncer"), free_port()
        self._folder, self._direct = folder, database
        self._child: Child | None = None
        self._write(sockets)
        (folder / "users").write_text('"chorus_feed" ""\n"chorus_notify" ""\n"admin" ""\n')

    @property
    def database(self) -> Database:
        """What the services are told: feed and notify through the pooler, the owner beside it."""
        address = f"127.0.0.1:{self._port}/{self._direct.name}?pooler=transaction"
        return self._direct._replace(
            url_feed=f"postgresql://chorus_feed@{address}", url_notify=f"postgresql://chorus_notify@{address}"
        )

    @contextmanager
    def running(self) -> Iterator["Pooler"]:
        """It runs; whether it answers yet is for `prepared` to find out."""
        with (self._folder / "log").open("ab") as log:
            command = [str(self._program), str(self._folder / "pgbouncer.ini")]
            self._child = Child(command, account=server_account(), output=log)
        try:
            yield self
        finally:
            self._child.end()

    def lead_to(self, sockets: str) -> None:
        """From now on to another server; who waits for one is not sent away."""
        assert self._child is not None
        self._write(sockets)
        self._child.send(signal.SIGHUP)

    def _write(self, sockets: str) -> None:
        (self._folder / "pgbouncer.ini").write_text(
            f"[databases]\n{self._direct.name} = host={sockets} port=5432\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self._port}\nunix_socket_dir =\nauth_type = trust\n"
            f"auth_file = {self._folder / 'users'}\nadmin_users = admin\npool_mode = transaction\n"
            f"default_pool_size = {SERVERS}\nmax_client_conn = 200\nserver_login_retry = 1\n"
            "query_wait_timeout = 5\n"
        )


async def prepared(database: Database) -> None:
    """The pooler in front of `database` answers, and the roles have their limits."""
    owner = await asyncpg.connect(database.url_direct)
    for role in ("chorus_feed", "chorus_notify"):
        for limit in LIMITS:
            await owner.execute(f"ALTER ROLE {role} IN DATABASE {database.name} SET {limit}")
    await owner.close()

    async def answers() -> bool:
        try:
            connection = await asyncpg.connect(**connecting(database.url_feed), timeout=2)
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    await until(answers)
