"""`chorus import`: an archive checked as a whole, then loaded as a whole.

Every fault of every kind is found before the first byte is written; then the photos are kept (by content, so that what
a failed load leaves behind is harmless and found again), then all rows in one transaction.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import msgspec

from services.feed.archive.loading import load
from services.feed.archive.photos import Developed, Photo
from services.feed.archive.plan import NAMED, Plan, changed_photos, make_plan
from services.feed.archive.reading import Contents, Report, read
from services.feed.archive.records import BadArchive, LineFault
from services.feed.images import Darkroom
from services.feed.queries import QUERIES
from services.feed.removals import hold, release
from services.feed.rows import now
from services.feed.storage import Storage
from shared.postgres import Connection, retrying

NO_SHIFT = timedelta(0)
Then = Callable[[Connection, Plan], Awaitable[None]]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did: records by type that it wrote, and those that were there from before."""

    archive: str
    new: dict[str, int]
    unchanged: dict[str, int]


class Importer:
    """Imports archives over one connection of its own."""

    def __init__(self, connection: Connection, storage: Storage, reaction_kinds: tuple[str, ...]) -> None:
        """`connection` must bear statements of minutes: a pool's time limits are for requests."""
        self._connection = connection
        self._storage = storage
        self._kinds = reaction_kinds

    async def run(
        self,
        path: Path,
        *,
        report: Report = lambda *_: None,
        shift: Callable[[Contents], timedelta] = lambda _: NO_SHIFT,
        then: Then | None = None,
    ) -> Summary:
        """The archive at `path` is in the community; what was imported before under its name is left as it is.

        `shift` moves every time of the archive; `then` runs at the end of the transaction. Raises BadArchive with every
        fault and OSError when the file can't be read: nothing was written.
        """
        contents, faults = await asyncio.to_thread(read, path, reaction_kinds=self._kinds, report=report)
        moved = shift(contents)
        async with Darkroom() as darkroom:
            with tempfile.TemporaryDirectory(prefix="chorus-import-") as folder:
                developed = Developed(Storage("", folder))
                known, holds = await self._known_photos(contents)
                await developed.develop(contents, darkroom, known, report)
                plan, clashes = await make_plan(self._connection, contents, moved)
                _refuse([*faults, *developed.faults, *clashes, *changed_photos(plan, developed.photos)])
                holds += await hold(self._connection, sorted(developed.fresh()))
                await developed.keep(self._storage, contents.folder)
        return await retrying(lambda: self._load(contents, developed.photos, moved, report, then, holds))

    async def _load(
        self,
        contents: Contents,
        photos: dict[str, Photo],
        shift: timedelta,
        report: Report,
        then: Then | None,
        holds: list[int],
    ) -> Summary:
        async with self._connection.transaction():
            await QUERIES.one_import_at_a_time(self._connection)
            # Planned again, under the lock: another import may have run since the check.
            plan, clashes = await make_plan(self._connection, contents, shift)
            _refuse(clashes)
            await load(self._connection, plan, photos, now(), report)
            await release(self._connection, holds)
            if then is not None:
                await then(self._connection, plan)
        return _summary(plan)

    async def _known_photos(self, contents: Contents) -> tuple[dict[str, Photo], list[int]]:
        """Photos of an earlier import of this archive that are kept already, and what holds them."""
        refs = await QUERIES.import_refs(self._connection, archive=contents.name)
        digests = [row["digest"].hex() for row in refs if row["type"] == "media"]
        holds = await hold(self._connection, digests)
        rows = await QUERIES.imported_photos(self._connection, digests=digests)
        return {row["digest"]: Photo(row["digest"], row["type"], row["width"], row["height"]) for row in rows}, holds


def _refuse(faults: list[LineFault]) -> None:
    if faults:
        raise BadArchive(faults)


def _summary(plan: Plan) -> Summary:
    new = {str(kind.__struct_config__.tag): sum(1 for _ in plan.new(kind)) for kind in NAMED}
    every = {str(kind.__struct_config__.tag): sum(1 for _ in plan.contents.each(kind)) for kind in NAMED}
    unchanged = {name: every[name] - new[name] for name in new}
    return Summary(archive=plan.contents.name, new=new, unchanged=unchanged)
