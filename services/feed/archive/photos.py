"""An archive's photos: found beside it, looked at, and held ready until everything else is known to be right.

Their sizes wait in a staging store, so that an archive with a fault in its last photo leaves nothing behind, and a
large one does not have to fit into memory.
"""

import asyncio
import hashlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from services.feed.archive.reading import Contents, Report
from services.feed.archive.records import LineFault, Post
from services.feed.images import MAX_BYTES, SIZES, Darkroom
from services.feed.storage import Storage, original_key, variant_key
from shared.errors import ChorusError, Fault

_AT_ONCE = 4
"""Photos read ahead: enough to keep the darkroom's two threads busy."""


class Photo(NamedTuple):
    """A photo that can be served. Width and height in pixels, of the full size."""

    digest: str
    type: str
    width: int
    height: int


class Developed:
    """The photos of one archive by their path, and the faults of those that aren't any."""

    def __init__(self, staging: Storage) -> None:
        self._staging = staging
        self._fresh: set[str] = set()
        self.photos: dict[str, Photo] = {}
        self.faults: list[LineFault] = []

    async def develop(self, contents: Contents, darkroom: Darkroom, known: dict[str, Photo], report: Report) -> None:
        """Looks at every photo once; those whose digest is `known` are kept already."""
        wanted: dict[str, list[tuple[int, str]]] = {}
        for number, post in contents.each(Post):
            for place, photo in enumerate(post.media):
                wanted.setdefault(photo.file, []).append((number, f"media.{place}.file"))
        files = list(wanted)
        for start in range(0, len(files), _AT_ONCE):
            report("Photos", start, len(files))
            batch = files[start : start + _AT_ONCE]
            found = await asyncio.gather(*(self._one(contents.folder, file, darkroom, known) for file in batch))
            for file, result in zip(batch, found, strict=True):
                if isinstance(result, Photo):
                    self.photos[file] = result
                    continue
                self.faults += [
                    LineFault(line=number, field=field, code=fault.code, detail=fault.detail)
                    for number, field in wanted[file]
                    for fault in result
                ]
        report("Photos", len(files), len(files))

    def fresh(self) -> set[str]:
        """Digests of what `keep` will keep."""
        return set(self._fresh)

    async def keep(self, storage: Storage, folder: Path) -> None:
        """Moves what is fresh from staging into `storage`, with its original."""
        for file, photo in self.photos.items():
            if photo.digest not in self._fresh:
                continue
            for size in SIZES:
                key = variant_key(photo.digest, size)
                await storage.put(key, await self._staging.get(key))
            original = await asyncio.to_thread((folder / file).read_bytes)
            if hashlib.sha256(original).hexdigest() != photo.digest:
                raise RuntimeError(f"{file} changed while it was being imported")
            await storage.put(original_key(photo.digest), original)
            self._fresh.discard(photo.digest)

    async def _one(self, folder: Path, file: str, darkroom: Darkroom, known: dict[str, Photo]) -> Photo | list[Fault]:
        content = await asyncio.to_thread(_content, folder, file)
        if isinstance(content, Fault):
            return [content]
        digest = hashlib.sha256(content).hexdigest()
        if digest in known:
            return known[digest]
        try:
            done = await darkroom.process(content)
        except ChorusError as error:
            return error.errors or [Fault(field="file", code=error.code, detail=error.detail)]
        await self._staging.keep(done)
        self._fresh.add(digest)
        return Photo(digest, done.type, done.width, done.height)


def inside(folder: Path, file: str) -> Path | None:
    """Where a path of the archive lies; None when it leads out of the archive's folder, by links too."""
    path = PurePosixPath(file)
    if not file or path.is_absolute() or "\\" in file or ".." in path.parts or any(map(_is_control, file)):
        return None
    found = (folder / path).resolve()
    return found if found.is_relative_to(folder.resolve()) and found != folder.resolve() else None


def _content(folder: Path, file: str) -> bytes | Fault:
    path = inside(folder, file)
    if path is None:
        return Fault(field="file", code="path", detail="A path beside the archive, without .. in it.")
    try:
        if not path.is_file():
            return Fault(field="file", code="missing", detail="There is no such file beside the archive.")
        if path.stat().st_size > MAX_BYTES:
            return Fault(field="file", code="too_large", detail=f"At most {MAX_BYTES:,} bytes.")
        return path.read_bytes()
    except OSError as error:
        return Fault(field="file", code="unreadable", detail=f"It can't be read: {error.strerror}.")


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff"
