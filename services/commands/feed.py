"""`chorus feed`: one feed process."""

import asyncio
import os

import click


@click.command()
def command() -> int:
    """Serve the page and the HTTP API until stopped."""
    from services.feed.serve import run
    from services.feed.settings import FeedSettings
    from services.outcome import serve
    from services.reaching import check_schema
    from shared.settings import load

    settings = load(FeedSettings, os.environ, require=("database_url", "secret_key"))
    asyncio.run(check_schema(settings.database_url))
    return serve(lambda: run(settings))
