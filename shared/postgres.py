"""Postgres: the pool, transactions, retries, named queries, migrations.

Every connection has its times bounded on the server, so that no statement, lock or forgotten transaction of ours can
hold up the others. Retrying is the caller's choice, made around a whole transaction, never around a statement.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiosql
import asyncpg

from shared import pools
from shared.errors import Busy
from shared.telemetry import get_logger

log_ = get_logger(__name__)
T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Isolation = Literal["read_committed", "repeatable_read"]

ACQUIRE_TIMEOUT = 2.0
"""Seconds to wait for a connection: past that the service is busy and says so, instead of queueing without end."""

SERVER_SETTINGS = {
    "jit": "off",  # our statements take a millisecond; compiling one takes fifty
    "lock_timeout": "2s",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "10s",
}

LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
_POOLED = "pooler=transaction"
_ATTEMPTS = 6
_UNAVAILABLE = (
    asyncpg.OperatorInterventionError,  # class 57: it starts, stops, or ends our session
    asyncpg.InsufficientResourcesError,  # class 53: no more connections, memory, or disk
    asyncpg.PostgresSystemError,  # class 58: its files can't be read or written
    asyncpg.PostgresConnectionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby that nobody promoted yet, a primary whose disk is full
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a session that the server ended while a statement was being sent
    ConnectionError,
    TimeoutError,
    OSError,
)
POSTGRES_AWAY = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    Busy,
)
"""What a statement raises while Postgres is away or ends our session: what goes on for ever tries again after any."""
_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_REPLACED = (
    asyncpg.InternalServerError,  # "cache lookup failed for …", "could not open relation with OID …"
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InvalidCachedStatementError,  # prepared for what it replaced; asyncpg has forgotten it by now
)
"""What a statement may meet while a restore puts everything anew under it. What stays so is a broken assumption."""


async def open_pool(
    url: str,
    *,
    application_name: str,
    min_size: int = 1,
    max_size: int = 10,
    server_settings: dict[str, str] | None = None,
) -> Pool:
    """A pool on `url`, connected before it is returned; raises what asyncpg raises when it can't be."""
    settings = {**SERVER_SETTINGS, "application_name": application_name, **(server_settings or {})}
    pool: Pool = await asyncpg.create_pool(
        **connecting(url, settings),
        min_size=min_size,
        max_size=max_size,
        command_timeout=20,
        reset=_nothing_to_reset,
    )
    if is_pooled(url):
        await _look_for_limits(pool)
    pools.watch(application_name, pool)
    return pool


def is_pooled(url: str) -> bool:
    """Whether the address says that a pooler gives a server to each transaction: `?pooler=transaction`."""
    return _POOLED in urlsplit(url).query.split("&")


def connecting(url: str, server_settings: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What asyncpg connects with. Behind a pooler nothing may be left on a server that the next transaction has not:
    no prepared statements, and no settings, which are the role's there (docs/PRODUCTION.md)."""
    if not is_pooled(url):
        return {"dsn": url, "server_settings": dict(server_settings or {})}
    parts = urlsplit(url)
    query = "&".join(part for part in parts.query.split("&") if part != _POOLED)
    kept = {name: value for name, value in (server_settings or {}).items() if name == "application_name"}
    return {"dsn": urlunsplit(parts._replace(query=query)), "server_settings": kept, "statement_cache_size": 0}


async def _look_for_limits(pool: Pool) -> None:
    """Behind a pooler our limits are the role's: without them one forgotten lock holds up everybody, so say it."""
    async with acquire(pool) as connection:
        lacking = [name for name in LIMITS if await connection.fetchval("SELECT current_setting($1)", name) == "0"]
    if lacking:
        log_.warning("role_without_limits", lacking=lacking, remedy="ALTER ROLE … SET, see docs/PRODUCTION.md")


async def _nothing_to_reset(_connection: Connection) -> None:
    """We set nothing that outlives a transaction, so a connection goes back as it came: that spares every use a round
    trip. Open transactions asyncpg rolls back all the same."""


@asynccontextmanager
async def transaction(
    pool: Pool, *, isolation: Isolation = "read_committed", readonly: bool = False
) -> AsyncIterator[Connection]:
    """One transaction on one connection of the pool; commits at the end, rolls back on any exception.

    Raises Busy when no connection comes free in ACQUIRE_TIMEOUT.
    """
    async with acquire(pool) as connection, connection.transaction(isolation=isolation, readonly=readonly):
        yield connection


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of the pool without a transaction, for single statements. Raises Busy like `transaction`."""
    try:
        connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT)
    except _UNAVAILABLE as error:
        raise Busy("No database connection came free in time.", retry_after=1) from error
    try:
        yield connection
    finally:
        with suppress(asyncpg.InternalClientError):  # its session ended by itself, and the pool has it back already
            await pool.release(connection)


async def retrying(attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` returns, run again when Postgres rolled it back through no fault of its own.

    Again: deadlocks, serialization failures, an id that another process had just made (a primary key named `…_pkey`),
    and what is gone because it was just replaced; these two are raised when they come every time. Anything that leaves
    the outcome of a commit unknown is not tried again: it becomes Busy, as do an outage, a full disk, and a lock
    that was not had in `lock_timeout`.
    """
    for left in range(_ATTEMPTS - 1, -1, -1):
        try:
            return await attempt()
        except _AGAIN:
            if not left:
                raise Busy("Too many writers at this place.", retry_after=1) from None
        except asyncpg.UniqueViolationError as error:
            if not left or not (error.constraint_name or "").endswith("_pkey"):
                raise
        except _REPLACED:
            if not left:
                raise
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
            raise Busy("A lock was not had in time.", retry_after=1) from error
        except _UNAVAILABLE as error:
            raise Busy("The database is not available.", retry_after=2) from error
        await asyncio.sleep(random.uniform(0, 0.02) * (_ATTEMPTS - left))  # noqa: S311 - spreads, hides nothing
    raise AssertionError("unreachable")


def load_queries(path: Path) -> Any:
    """The named queries of a `.sql` file or folder, as `await queries.name(connection, a=…)`."""
    return aiosql.from_path(path, "asyncpg", mandatory_parameters=False)


async def migrate(url: str, *, to: str = "head") -> list[str]:
    """Brings the database to the newest schema, or up to another; returns the revisions applied.
    Safe to run twice, and at once.

    `url` must be allowed to create schemas and roles.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection as SyncConnection
    from sqlalchemy.ext.asyncio import create_async_engine

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")

    def upgrade(connection: SyncConnection) -> list[str]:
        def current() -> str | None:
            return MigrationContext.configure(connection, opts=opts).get_current_revision()

        opts = {"version_table": "migration", "version_table_schema": "public"}
        # Held to the end of the transaction: a second migration waits, and then finds nothing to do.
        connection.exec_driver_sql("select pg_advisory_xact_lock(4701)")
        # Rather fail, and be run again, than stand in everybody's way behind a long writer.
        connection.exec_driver_sql("set local lock_timeout = '10s'")
        before = current()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        script = ScriptDirectory.from_config(config)
        after = current()
        if after is None or after == before:
            return []
        return [step.revision for step in script.iterate_revisions(after, before or "base")][::-1]

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(upgrade)
    finally:
        await engine.dispose()
