"""The suite's own Postgres and Redis: one of each per pytest process, a database per test cloned from a template.

Everything lives in one short folder that the servers' account can enter, in memory where there is enough, and dies
with pytest.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import asyncpg

from services.embedded import Engine, Postgres, Redis, redis_engines, server_account
from shared.postgres import migrate

T = TypeVar("T")
TEMPLATE = "chorus_template"
ROOM = 4 << 30
"""Bytes: three workers' servers take some hundred MB each. A container's /dev/shm often has 64 MB."""
_numbers = itertools.count(1)


class Database(NamedTuple):
    """One test's database, as each role reaches it."""

    name: str
    url_feed: str
    url_notify: str
    url_direct: str


@contextmanager
def server_folder(parent: str | None = None) -> Iterator[Path]:
    """A folder for servers: pytest's own are closed to other accounts, and too deep for a socket's address. `parent`
    None: where it is fastest."""
    folder = Path(tempfile.mkdtemp(prefix="ct-", dir=parent or _fast_place()))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fast_place() -> str:
    """Memory, if it has room for what a disk would be asked to keep: a quarter of a test's time was that (measured)."""
    memory = Path("/dev/shm")
    free = shutil.disk_usage(memory).free if os.access(memory, os.W_OK) else 0
    return str(memory) if free > ROOM else "/tmp"


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A Postgres that forgets everything, fast."""
    server = Postgres(folder, durable=False)
    server.start()
    try:
        yield server
    finally:
        server.stop(grace=3)


@contextmanager
def running_redis(folder: Path, engine: Engine) -> Iterator[Redis]:
    """A Redis of that engine, for the length of the block."""
    server = Redis(folder, engine=engine)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@cache
def known_redis_engines() -> dict[str, Engine]:
    """Every Redis of this machine under a name for test ids, the preferred one first."""
    copies = Path(tempfile.gettempdir()) / "chorus-engines"
    named: dict[str, Engine] = {}
    for engine in redis_engines(server_account(), copies):
        name = engine.name.lower()
        named[name if name not in named else f"{name}-{engine.origin}"] = engine
    return named


def make_template(server: Postgres) -> None:
    """The template database exists, migrated to the newest schema."""
    at_once(_execute(server.url(), f"CREATE DATABASE {TEMPLATE}"))
    at_once(migrate(server.url(database=TEMPLATE)))


@contextmanager
def fresh_database(server: Postgres, template: str = TEMPLATE) -> Iterator[Database]:
    """A clone of the template, dropped afterwards whoever is still connected."""
    name = f"t{next(_numbers)}"
    at_once(_execute(server.url(), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log"))
    try:
        yield Database(
            name,
            server.url("chorus_feed", name),
            server.url("chorus_notify", name),
            server.url("chorus", name),
        )
    finally:
        if server.running:
            at_once(_execute(server.url(), f"DROP DATABASE {name} WITH (FORCE)"))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, from synchronous code: on a loop of its own, whatever loop runs here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def give_role(database: Database, account_id: str, role: str) -> None:
    """The member has this role from now on; nobody is recorded as having given it."""
    connection = await asyncpg.connect(database.url_direct)
    try:
        await connection.execute("update feed.account set role = $2 where id = $1", int(account_id), role)
    finally:
        await connection.close()
