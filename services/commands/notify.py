"""`chorus notify`: one notify process."""

import os

import click


@click.command()
def command() -> int:
    """Serve the live socket and the inbox until stopped."""
    from services.notify.serve import run
    from services.notify.settings import NotifySettings
    from services.outcome import serve
    from shared.settings import load

    settings = load(NotifySettings, os.environ, require=("database_url", "secret_key"))
    return serve(lambda: run(settings))
