"""`chorus sequencer`: one publishing process."""

import os

import click


@click.command()
def command() -> None:
    """Number committed events and publish them until stopped. Any number may stand by."""
    from services.feed.publish import run
    from services.feed.settings import FeedSettings
    from shared.settings import load

    run(load(FeedSettings, os.environ, require=("database_url",)))
