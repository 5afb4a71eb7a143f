"""Photos: taken in, attached to one post of their owner, served by id.

A photo's bytes are in storage before its row is in Postgres: a row that can be seen can be served. What becomes of
bytes whose row was never written, or has gone: removals.py.
"""

import asyncpg
import msgspec

from services.feed import rows
from services.feed.images import Darkroom
from services.feed.queries import QUERIES
from services.feed.removals import hold
from services.feed.roles import State
from services.feed.rows import now
from services.feed.storage import Storage, variant_key
from shared.errors import Busy, Fault, Invalid, NotFound
from shared.ids import new_id
from shared.postgres import Connection, Pool, acquire, retrying
from shared.wire import Media


class File(msgspec.Struct, frozen=True, kw_only=True):
    """What is served. With an `author` it is the cover of a story in `state`, for those who may see that."""

    type: str
    content: bytes
    author: int | None
    state: State | None


class Photos:
    """Takes photos in and gives their files."""

    def __init__(self, pool: Pool, storage: Storage, darkroom: Darkroom) -> None:
        self._pool = pool
        self._storage = storage
        self._darkroom = darkroom

    async def take(self, owner_id: int, content: bytes, alt: str | None) -> Media:
        """A photo that its owner may attach to a post. Raises what `images.process` raises."""
        photo = await self._darkroom.process(content)

        async def held() -> int:
            async with acquire(self._pool) as connection:
                return (await hold(connection, [photo.digest]))[0]

        own = await retrying(held)
        await self._storage.keep(photo)

        async def attempt() -> Media:
            media_id = new_id()
            async with acquire(self._pool) as connection:
                made = await QUERIES.create_media(
                    connection,
                    id=media_id,
                    owner_id=owner_id,
                    alt=alt,
                    type=photo.type,
                    width=photo.width,
                    height=photo.height,
                    digest=photo.digest,
                    created_at=now(),
                    hold=own,
                )
            if made is None:
                raise Busy("Keeping the photo took too long.", retry_after=1)
            return rows.media(media_id, alt, photo.width, photo.height)

        return await retrying(attempt)

    async def file(self, media_id: int, size: str) -> File:
        """One size of a photo. Raises NotFound."""

        async def attempt() -> asyncpg.Record | None:
            async with acquire(self._pool) as connection:
                row: asyncpg.Record | None = await QUERIES.media_file(connection, media_id=media_id)
                return row

        row = await retrying(attempt)
        if row is None:
            raise NotFound("There is no such photo.")
        content = await self._storage.get(variant_key(row["digest"], size))
        return File(type=row["type"], content=content, author=row["story_author"], state=row["story_state"])


async def lock(
    connection: Connection, ids: list[int], owner_id: int, post_id: int | None = None, *, story_id: int | None = None
) -> list[Media]:
    """Photos that a post (or, with `story_id`, a story) may carry, in the order asked, held until the caller's
    transaction ends.

    Raises Invalid, naming each that is not the owner's, not there, or carried by another post or story.
    """
    found = {row["id"]: row for row in await QUERIES.lock_media(connection, ids=ids)}
    faults, taken = [], []
    for place, media_id in enumerate(ids):
        row = found.get(media_id)
        if row is None or row["owner_id"] != owner_id:
            faults.append(Fault(field=f"media.{place}", code="not_found", detail="You have no such photo."))
        elif row["post_id"] not in (None, post_id) or row["story_id"] not in (None, story_id):
            faults.append(Fault(field=f"media.{place}", code="taken", detail="Another post carries this photo."))
        else:
            taken.append(rows.media(media_id, row["alt"], row["width"], row["height"]))
    if faults:
        raise Invalid(errors=faults)
    return taken


async def carried(connection: Connection, post_id: int) -> list[int]:
    """The ids of a post's photos, in their order."""
    return [row["id"] for row in await QUERIES.media_of_post(connection, post_id=post_id)]


async def replace(connection: Connection, post_id: int, ids: list[int], owner_id: int) -> None:
    """The post carries these photos, in this order; those it no longer carries are gone. Raises like `lock`."""
    await lock(connection, ids, owner_id, post_id)
    await QUERIES.remove_media(connection, post_id=post_id, kept=ids, now=now())
    await QUERIES.attach_media(connection, post_id=post_id, ids=ids)
