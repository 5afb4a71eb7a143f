"""Photos: every row has its files in storage, and every file a row, or somebody who is about to give or to take it."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

from services.audit.counts import asked, rows_about
from services.audit.finding import Finding, Tally
from services.audit.reading import pages, snapshot
from services.feed.images import SIZES
from services.feed.settings import FeedSettings
from services.feed.storage import Storage, original_key, variant_key
from services.progress import Report
from shared.errors import Busy
from shared.postgres import Connection

PAGE = 500


async def kept(connection: Connection, settings: FeedSettings, report: Report) -> list[Finding]:
    """Two findings: rows without files, and files without rows."""
    whose = "Look whether CHORUS_DATA_DIR or CHORUS_MEDIA_URL is the feed's. "
    rows = Tally(
        "files of photos",
        "photo",
        means="A photo is shown as an empty frame: its row is there, and not all of its files.",
        do=f"{whose}Otherwise put the files back from a backup (docs/BACKUP.md): they are named by their content.",
    )
    files = Tally(
        "photos of files",
        "file",
        means="Bytes are kept that no photo has and nobody is about to remove; perhaps somebody had them removed.",
        do=f"{whose}Otherwise remove these files.",
    )
    if not settings.media_url and not (Path(settings.data_dir) / "media").is_dir():
        async for page in pages(connection, asked.media_edge, PAGE):
            found = [row async for row in asked.photos(connection, after=page.after, last=page.last)]
            rows.add(len(found), (f"photo {row['id']}: there is no folder of photos" for row in found))
        return [rows.finding(), files.finding()]
    storage = Storage.of(settings)
    try:
        await _rows(connection, storage, rows, report)
        await _files(connection, storage, files, report)
    except Busy as error:
        why = f"storage can't be asked: {type(error.__cause__ or error).__name__}"
        return [rows.unknown(why), files.unknown(why)]
    return [rows.finding(), files.finding()]


async def _rows(connection: Connection, storage: Storage, tally: Tally, report: Report) -> None:
    roughly = (await rows_about(connection)).get("media", 0)
    # Closed here: a page that storage breaks off would end its snapshot whenever the loop comes to it, beside the next.
    async with aclosing(pages(connection, asked.media_edge, PAGE)) as every:
        async for page in every:
            found = [row async for row in asked.photos(connection, after=page.after, last=page.last)]
            lacking = {row["id"]: missing for row in found if (missing := await _missing(storage, row))}
            tally.add(page.looked, await _still_lacking(connection, lacking))
            report("photos", tally.looked, roughly)


async def _missing(storage: Storage, row: Any) -> list[str]:
    keys = [variant_key(row["digest"], size) for size in SIZES]
    keys += [original_key(row["digest"])] if row["imported"] else []
    there = await asyncio.gather(*(storage.holds(key) for key in keys))
    return [key for key, held in zip(keys, there, strict=True) if not held]


async def _still_lacking(connection: Connection, lacking: dict[int, list[str]]) -> list[str]:
    """Without those whose photo went meanwhile: its row goes first."""
    ids = {row["id"] async for row in asked.photos_still_there(connection, ids=list(lacking))} if lacking else set()
    return [f"photo {media_id}: {', '.join(lacking[media_id])}" for media_id in sorted(ids)]


async def _files(connection: Connection, storage: Storage, tally: Tally, report: Report) -> None:
    async for keys in storage.keys():
        digests = {key: key.split("/")[2] for key in keys if key.count("/") >= 2}
        stray = [key for key in keys if key not in digests]
        async with snapshot(connection):
            unneeded = {
                row["digest"] async for row in asked.unneeded(connection, digests=sorted(set(digests.values())))
            }
        doubtful = [*stray, *(key for key, digest in digests.items() if digest in unneeded)]
        tally.add(len(keys), [key for key in doubtful if await storage.holds(key)])
        report("files", tally.looked, 0)
