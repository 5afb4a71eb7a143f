"""`chorus migrate`: the newest schema."""

import asyncio
import json
import os

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the revisions applied as JSON.")
def command(as_json: bool) -> None:
    """Bring the database to the newest schema. Safe to repeat, and to run twice at once."""
    from services.installation import reachable
    from services.reaching import postgres
    from shared.eventlog.installation import initialise
    from shared.postgres import migrate
    from shared.settings import Common, load

    settings = load(Common, reachable(os.environ), require=("database_url",))
    url = settings.postgres_direct()

    async def work() -> list[str]:
        await (await postgres(url, "CHORUS_DIRECT_DATABASE_URL, else CHORUS_DATABASE_URL,")).close()
        applied = await migrate(url)
        await initialise(url, settings.logs)
        return applied

    applied = asyncio.run(work())
    shown = f"Applied: {', '.join(applied)}." if applied else "Nothing to apply: the schema is the newest."
    click.echo(json.dumps({"applied": applied}) if as_json else shown)
