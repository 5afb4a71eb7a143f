"""`chorus admin`: what an operator does by hand, each a command of its own."""

import asyncio
import os
from typing import TYPE_CHECKING

import click

from services.outcome import DONE, FAILED

if TYPE_CHECKING:
    from services.notify.inbox.dead_letters import Replayed


@click.group()
def command() -> None:
    """Mend by hand what doctor names."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def replay(as_json: bool) -> int:
    """Handle every dead letter once more, oldest first. Exit 1 when some fail again: they stay, with their new error.

    Inboxes come out as if each had been handled in time; repeating it is safe.
    """
    import msgspec

    from services.installation import reachable
    from services.notify.settings import NotifySettings
    from shared.settings import load
    from shared.telemetry import configure

    settings = load(NotifySettings, reachable(os.environ), require=("database_url",))
    configure("admin", level=settings.log_level, style="console")
    replayed = asyncio.run(_replay(settings.postgres_for_notify()))
    words = f"{replayed.handled} handled, {replayed.failed} failed again and stay."
    click.echo(msgspec.json.encode(replayed).decode() if as_json else words)
    return FAILED if replayed.failed else DONE


async def _replay(url: str) -> "Replayed":
    from services.notify.inbox.dead_letters import replay as once_more
    from services.reaching import check_schema
    from shared.postgres import open_pool

    await check_schema(url)
    pool = await open_pool(url, application_name="chorus admin", max_size=2)
    try:
        return await once_more(pool)
    finally:
        await pool.close()
