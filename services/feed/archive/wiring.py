"""Composition root of import and export: settings, a connection with time for large statements, storage."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from services.feed.archive.importing import Importer
from services.feed.settings import FeedSettings
from services.feed.storage import Storage
from shared.postgres import SERVER_SETTINGS, Connection, connecting
from shared.settings import load


def settings_from(environ: Mapping[str, str]) -> FeedSettings:
    """The feed's settings. Raises ConnectionError where no community can be reached with them, and SettingsError."""
    settings = load(FeedSettings, environ)
    if not settings.database_url:
        raise ConnectionError("Chorus does not run here: start `chorus up`, or set CHORUS_DATABASE_URL.")
    return settings


@asynccontextmanager
async def importer(settings: FeedSettings) -> AsyncIterator[Importer]:
    """Something that imports into the community of `settings`. Raises what asyncpg raises when it isn't there."""
    async with long_connection(settings.database_url, "chorus import") as connection:
        storage = Storage.of(settings)
        yield Importer(connection, storage, settings.reaction_kinds)


@asynccontextmanager
async def long_connection(url: str, application_name: str) -> AsyncIterator[Connection]:
    """A connection that bears statements of minutes, but waits for a lock no longer than a request does.

    Raises ConnectionError when nobody listens there, and what Postgres answers when it refuses.
    """
    settings = {
        **SERVER_SETTINGS,
        "application_name": application_name,
        "statement_timeout": "15min",
        "idle_in_transaction_session_timeout": "15min",
    }
    try:
        connection = await asyncpg.connect(**connecting(url, settings))
    except OSError as error:
        raise ConnectionError(f"The database can't be reached: {error}.") from error
    try:
        yield connection
    finally:
        await connection.close()
