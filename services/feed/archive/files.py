"""An archive on disk: written beside its photos, whole or not at all."""

import asyncio
import os
from pathlib import Path

from services.feed.archive.exporting import Exported
from services.feed.archive.photos import inside
from services.feed.archive.reading import Report
from services.feed.archive.records import encode
from services.feed.storage import Storage


def lines(exported: Exported) -> bytes:
    """The archive's lines."""
    return b"".join(encode(record) + b"\n" for record in exported.records)


async def write(exported: Exported, path: Path, storage: Storage, report: Report) -> None:
    """The archive at `path`, its photos beside it at their own paths; what is there is replaced.

    The file itself comes last and by renaming: a reader finds the old archive or the new one, with all its photos.
    Raises NotFound when a photo is not in storage, OSError when something can't be written.
    """
    folder = path.parent
    for done, (file, key) in enumerate(exported.photos.items()):
        report("Photos", done, len(exported.photos))
        target = inside(folder, file)
        if target is None:
            raise ValueError(f"the photo {file!r} would lie outside {folder}")
        await asyncio.to_thread(_replace, target, await storage.get(key))
    await asyncio.to_thread(_replace, path, lines(exported))
    report("Photos", len(exported.photos), len(exported.photos))


def _replace(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
