"""`chorus export`: the community, or one imported archive, as an archive."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.outcome import DONE, INVALID

if TYPE_CHECKING:
    from services.feed.archive.exporting import Exported
    from services.feed.archive.reading import Report
    from services.feed.settings import FeedSettings


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--archive", metavar="NAME", help="Only what was imported under this name, as it stands now.")
@click.option("--json", "as_json", is_flag=True, help="With FILE: print what was written as JSON.")
def command(file: Path | None, archive: str | None, as_json: bool) -> int:
    """Export everything, or one imported archive, to FILE with the photos beside it.

    Without FILE the records go to standard output, which are lines of JSON already, and photos are only named.
    """
    from services.feed.archive.wiring import settings_from
    from services.installation import reachable
    from services.progress import progress

    settings = settings_from(reachable(os.environ))
    if file is not None and not os.access(file.absolute().parent, os.W_OK | os.X_OK):
        click.echo(f"{file.absolute().parent} is no folder that can be written to.", err=True)
        return INVALID
    with progress(shown=file is not None and not as_json) as report:
        exported = asyncio.run(_export(settings, archive, file, report))
    _tell(exported, file, as_json)
    return DONE


async def _export(settings: "FeedSettings", archive: str | None, file: Path | None, report: "Report") -> "Exported":
    from services.feed.archive.exporting import export
    from services.feed.archive.files import write
    from services.feed.archive.wiring import long_connection
    from services.feed.storage import Storage

    async with (
        long_connection(settings.database_url, "chorus export") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        exported = await export(connection, archive)
    if file is not None:
        await write(exported, file, Storage.of(settings), report)
    return exported


def _tell(exported: "Exported", file: Path | None, as_json: bool) -> None:
    import json

    from services.feed.archive.files import lines

    records, photos = len(exported.records), len(exported.photos)
    if file is None:
        sys.stdout.buffer.write(lines(exported))
        if photos:
            click.echo(f"{photos:,} photos are named and not written: give a FILE to have them beside it.", err=True)
    elif as_json:
        click.echo(json.dumps({"file": str(file), "records": records, "photos": photos}))
    else:
        click.echo(f"{file}: {records:,} records, {photos:,} photos.")
