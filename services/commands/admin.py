"""`chorus admin`: what an operator does by hand, each a command of its own."""

import asyncio
import os
from typing import TYPE_CHECKING

import click

from services.outcome import DONE, FAILED

if TYPE_CHECKING:
    from services.feed.granting import Holder
    from services.notify.inbox.dead_letters import Replayed

ROLES = ("member", "author", "moderator", "admin")
"""As services.feed.roles has them; spelled out, so that `--help` need not load the feed. A test compares them."""


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


@command.command()
@click.argument("handle")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def grant(handle: str, role: str, as_json: bool) -> int:
    """Give the member with this HANDLE a ROLE, in place of the one they have: also the first admin's.

    It counts from their next request, and is recorded with the name of the account that ran this. `member` takes every
    role away again, the last admin's too.
    """
    import msgspec

    from services.feed.settings import FeedSettings
    from services.installation import reachable
    from shared.settings import load
    from shared.telemetry import configure

    settings = load(FeedSettings, reachable(os.environ), require=("database_url",))
    configure("admin", level=settings.log_level, style="console")
    holder = asyncio.run(_grant(settings.database_url, handle.removeprefix("@").lower(), role))
    words = f"{holder.account.handle} ({holder.account.display_name}) has the role {holder.role}."
    click.echo(msgspec.json.encode(holder).decode() if as_json else words)
    return DONE


async def _grant(url: str, handle: str, role: str) -> "Holder":
    import getpass
    from typing import cast

    from services.feed.granting import Roles
    from services.feed.roles import Role
    from services.reaching import check_schema
    from shared.postgres import open_pool

    await check_schema(url)
    pool = await open_pool(url, application_name="chorus admin", max_size=2)
    try:
        return await Roles(pool).give(handle, cast("Role", role), operator=getpass.getuser())
    finally:
        await pool.close()


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
