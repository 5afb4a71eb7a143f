"""`chorus demo`: the demo community, for `chorus up`; hidden, since nobody wants it in a database of their own."""

import asyncio
import os

import asyncpg
import click


@click.command(hidden=True)
@click.option("--empty", is_flag=True, help="Put nothing in; only tell the logins of a demo that is there.")
def command(empty: bool) -> None:
    """Put the demo community into a database without accounts, and print the logins of the one that is there."""
    from services.feed.demo import logins, seed
    from services.feed.settings import FeedSettings
    from services.installation import reachable
    from shared.settings import load

    settings = load(FeedSettings, reachable(os.environ), require=("database_url", "secret_key"))
    if not empty and asyncio.run(_nobody_is_here(settings.database_url)):
        asyncio.run(seed(settings))
    for login in asyncio.run(logins(settings)):
        click.echo(login)


async def _nobody_is_here(url: str) -> bool:
    from shared.postgres import connecting

    connection = await asyncpg.connect(**connecting(url))
    try:
        return bool(await connection.fetchval("SELECT NOT EXISTS (SELECT FROM feed.account)"))
    finally:
        await connection.close()
