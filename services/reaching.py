"""Servers as commands reach them: a connection, or a sentence that says which server, why not, and what to look at.

Addresses hold passwords, so what is shown of one is made here: host, database and role, and nothing else.
"""

import os
from urllib.parse import parse_qs, unquote

import asyncpg

from shared.postgres import POSTGRES_AWAY, Connection, connecting

PATIENCE = 5.0
"""Seconds a server gets to answer a command."""


class Unreachable(Exception):
    """A server that a command needs does not answer, or is not what it should be."""


def address(url: str) -> str:
    """Where `url` leads, without its password; also when that is written so that nobody could tell where it ends."""
    scheme, _, rest = url.partition("://")
    who, _, where = rest.rpartition("@")
    place, _, query = where.partition("?")
    host, _, path = place.partition("/")
    named = [host or unquote(parse_qs(query).get("host", [""])[0]) or f"/{unquote(path)}"]
    if scheme.startswith("postgres"):
        named += [f"database {path or '(none)'}", f"as {unquote(who.partition(':')[0]) or '(nobody)'}"]
    return ", ".join(named)


def words(error: Exception) -> str:
    """Why a server did not answer, in a few words; raises nothing."""
    inner = error.__cause__ or error.__context__
    if isinstance(inner, OSError):  # a driver's own error, around what the system said
        return words(inner)
    if isinstance(error, TimeoutError):
        return f"no answer in {PATIENCE:g} s"
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0).lower()
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (said or type(error).__name__).strip().rstrip(".").replace("\n", "; ")


async def postgres(
    url: str, setting: str = "CHORUS_DATABASE_URL", *, statement: float = 30
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection, which the caller closes; `statement`: seconds that one may take. Raises Unreachable."""
    try:
        return await asyncpg.connect(**connecting(url), timeout=PATIENCE, command_timeout=statement)
    except (*POSTGRES_AWAY, ValueError) as error:
        raise Unreachable(
            f"Postgres at {address(url)} can't be reached: {words(error)}. Look at {setting} and at that server."
        ) from error


async def check_schema(url: str) -> None:
    """Returns when a service could start on this database. Raises Unreachable."""
    connection = await postgres(url)
    try:
        if await revision(connection) is None:
            raise Unreachable(f"The database at {address(url)} has no schema of Chorus yet. Run `chorus migrate`.")
    finally:
        await connection.close()


async def revision(connection: Connection) -> str | None:
    """The schema's revision, None where nothing was migrated. Any role may ask: the table itself is the owner's."""
    if not await connection.fetchval("SELECT to_regnamespace('eventlog') IS NOT NULL"):
        return None
    if not await connection.fetchval("SELECT has_table_privilege('public.migration', 'select')"):
        return ""
    found: str | None = await connection.fetchval("SELECT version_num FROM public.migration")
    return found
