"""`chorus feed`: one feed process."""

import os

import click


@click.command()
def command() -> int:
    """Serve the page and the HTTP API until stopped."""
    from services.feed.serve import run
    from services.feed.settings import FeedSettings
    from shared.settings import load

    return run(load(FeedSettings, os.environ, require=("database_url", "secret_key")))
