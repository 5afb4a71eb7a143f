"""`chorus backup`: everything that can't be made again, in one file."""

import asyncio
import os
from pathlib import Path

import click


@click.command()
@click.argument("target", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(target: Path, as_json: bool) -> None:
    """Write a backup to FILE, or into FOLDER under a name with the time, while everything runs.

    In it: the database as of one moment, and the photos unless they are in S3. Not in it: settings and
    CHORUS_SECRET_KEY. It is read back and compared before it gets its name. It takes pg_dump, pg_restore and psql of
    the server's version or newer; where they lack it says which package brings them (exit 4).
    """
    import json

    from services.backup.archive import DUMP
    from services.backup.writing import write
    from services.installation import reachable
    from services.progress import progress
    from shared.settings import Common, load

    settings = load(Common, reachable(os.environ), require=("database_url",))
    with progress(shown=not as_json) as report:
        file, manifest = asyncio.run(write(settings, target, report))
    census, photos = manifest.census, sum(part.name != DUMP for part in manifest.parts)
    size = file.stat().st_size
    if as_json:
        found = {
            "file": str(file),
            "bytes": size,
            "at": manifest.at,
            "revision": census.revision,
            "epoch": census.epoch,
        }
        found |= {"seq": census.seq, "accounts": census.accounts, "posts": census.posts, "files": photos}
        click.echo(json.dumps({**found, "media_url": manifest.media_url, "postgres": manifest.postgres}))
        return
    click.echo(f"{file}: {size / (1 << 20):,.1f} MiB, read back and whole.")
    click.echo(
        f"  as of {manifest.at}: {census.accounts:,} accounts, {census.posts:,} posts, "
        f"log at {census.epoch}-{','.join(map(str, census.seq))}, schema {census.revision}"
    )
    click.echo(
        f"  photos: {photos:,} files in it"
        if not manifest.media_url
        else f"  photos: not in it, they are at {manifest.media_url}: keep versions of that bucket, or copy it"
    )
    click.echo("  not in it: settings and CHORUS_SECRET_KEY. Keep them elsewhere.")
