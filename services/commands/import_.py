"""`chorus import`: an archive into the running community."""

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.outcome import DONE, INVALID

if TYPE_CHECKING:
    from services.feed.archive.importing import Summary
    from services.feed.archive.reading import Report
    from services.feed.archive.records import BadArchive
    from services.feed.settings import FeedSettings

_SHOWN = 100
"""Faults printed at most; their number is told in full."""


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, without a progress bar.")
def command(file: Path, as_json: bool) -> int:
    """Import the archive FILE, with the photos beside it: all of it or, with any fault, nothing.

    Safe to repeat: what was imported before under the archive's name is left as it is. Nobody is told a notification,
    and imported members can't sign in. Exit 3 names the line and field of every fault.
    """
    from services.feed.archive.records import BadArchive
    from services.feed.archive.wiring import settings_from
    from services.installation import reachable
    from services.progress import progress

    settings = settings_from(reachable(os.environ))
    try:
        file.open("rb").close()
    except OSError as error:
        click.echo(f"{file} can't be read: {error.strerror}.", err=True)
        return INVALID
    try:
        with progress(shown=not as_json) as report:
            summary = asyncio.run(_import(settings, file, report))
    except BadArchive as bad:
        _tell_faults(file, bad, as_json)
        return INVALID
    _tell(summary, as_json)
    return DONE


async def _import(settings: "FeedSettings", file: Path, report: "Report") -> "Summary":
    from services.feed.archive.wiring import importer

    async with importer(settings) as ready:
        return await ready.run(file, report=report)


def _tell(summary: "Summary", as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
        return
    written = [f"{count:,} × {kind}" for kind, count in summary.new.items() if count]
    left = sum(summary.unchanged.values())
    click.echo(f"{summary.archive}: {', '.join(written) if written else 'nothing new'}.")
    if left:
        click.echo(f"{left:,} records were here already and stay as they are.")


def _tell_faults(file: Path, bad: "BadArchive", as_json: bool) -> None:
    import msgspec

    shown = bad.faults[:_SHOWN]
    if as_json:
        click.echo(json.dumps({"total": len(bad.faults), "faults": msgspec.to_builtins(shown)}))
        return
    for fault in shown:
        click.echo(f"{file.name}: {fault}", err=True)
    total = len(bad.faults)
    more = f", of which {len(shown)} are shown" if total > len(shown) else ""
    click.echo(f"Nothing was imported: {total:,} fault{'s' if total != 1 else ''}{more}.", err=True)
