"""The suite's own Postgres and Redis: one of each per pytest process, a database per test cloned from a template.

Everything lives in one short folder under /tmp that the servers' account can enter, and dies with pytest.
"""

import asyncio
import itertools
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
_numbers = itertools.count(1)


class Database(NamedTuple):
    """One test's database, as each role reaches it."""

    name: str
    url_feed: str
    url_notify: str
    url_direct: str


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for servers: pytest's own are closed to other accounts, and too deep for a socket's address."""
    folder = Path(tempfile.mkdtemp(prefix="ct-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
