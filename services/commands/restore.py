"""`chorus restore`: a backup becomes the present again."""

import asyncio
import os
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Even when the database holds something: that is gone then.")
@click.option("--json", "as_json", is_flag=True, help="Print what is here now as JSON.")
def command(file: Path, replace: bool, as_json: bool) -> None:
    """Put back FILE, which `chorus backup` wrote, into the database that the settings name.

    FILE is read and compared first. The database changes in one transaction: whatever interrupts it, all is as it was,
    and the command can be repeated. A new epoch tells every page to fetch again; services may run meanwhile, unless the
    backup's schema is an older release's. What is newer than the backup is lost, also from the inboxes.
    """
    import json

    from services.backup.restoring import restore
    from services.installation import reachable
    from services.progress import progress
    from shared.settings import Common, load

    settings = load(Common, reachable(os.environ), require=("database_url",))
    with progress(shown=not as_json) as report:
        restored = asyncio.run(restore(settings, file, replace=replace, report=report))
    now, was = restored.census, restored.manifest
    if as_json:
        found = {"at": was.at, "revision": now.revision, "epoch": now.epoch, "seq": now.seq, "accounts": now.accounts}
        click.echo(json.dumps({**found, "posts": now.posts, "notes": restored.notes}))
        return
    click.echo(
        f"Restored as of {was.at}: {now.accounts:,} accounts, {now.posts:,} posts, {now.notifications:,} notifications."
    )
    click.echo(
        f"  epoch {now.epoch} (was {was.census.epoch}), log at {','.join(map(str, now.seq))}, schema {now.revision}"
    )
    for note in restored.notes:
        click.echo(f"  → {note}")
