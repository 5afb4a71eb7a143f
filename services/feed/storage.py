"""Where photos are kept: a folder, or S3, behind one small interface; keys are made from the content.

A key is written once and never changed, so what is served can be cached for ever, and writing twice is harmless.
Originals are kept only for imported photos, byte for byte, so that an export equals its import; they are never served.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import obstore
from obstore.store import LocalStore, from_url

from services.feed.images import SIZES, Processed
from shared.errors import NotFound

CHUNK = 256 * 1024
"""Bytes read at once when a photo is streamed."""


def variant_key(digest: str, size: str) -> str:
    """Where one size of the photo lies whose original has this sha256."""
    return f"served/{digest[:2]}/{digest}/{size}.webp"


def original_key(digest: str) -> str:
    """Where an imported photo's own bytes lie."""
    return f"original/{digest[:2]}/{digest}"


class Storage:
    """Objects by key. Writes are whole or not at all."""

    def __init__(self, media_url: str, data_dir: str | Path) -> None:
        """`media_url` is the setting MEDIA_URL, e.g. `s3://bucket/prefix`; empty: `media` in the data folder."""
        if media_url:
            self._store = from_url(media_url)
        else:
            folder = Path(data_dir) / "media"
            self._store = LocalStore(folder, mkdir=True, automatic_cleanup=True)

    async def put(self, key: str, content: bytes) -> None:
        """Keeps `content` under `key`; what was there is replaced as a whole."""
        await obstore.put_async(self._store, key, content)

    async def get(self, key: str) -> bytes:
        """The whole object. Raises NotFound."""
        try:
            found = await obstore.get_async(self._store, key)
        except FileNotFoundError as error:
            raise NotFound("That photo is not here.") from error
        return bytes(await found.bytes_async())

    async def stream(self, key: str) -> tuple[int, AsyncIterator[bytes]]:
        """An object's size in bytes and its content in pieces. Raises NotFound before the first piece."""
        try:
            found = await obstore.get_async(self._store, key)
        except FileNotFoundError as error:
            raise NotFound("That photo is not here.") from error

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in found.stream(min_chunk_size=CHUNK):
                yield bytes(piece)

        return found.meta["size"], pieces()

    async def holds(self, key: str) -> bool:
        """Whether something is kept under `key`."""
        try:
            await obstore.head_async(self._store, key)
        except FileNotFoundError:
            return False
        return True

    async def delete(self, key: str) -> None:
        """Nothing is kept under `key` any more; already gone is well."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    async def drop(self, digest: str) -> None:
        """Nothing is kept of the photo with this digest, neither sizes nor original; already gone is well."""
        for key in (original_key(digest), *(variant_key(digest, size) for size in SIZES)):
            await self.delete(key)

    async def keep(self, photo: Processed, *, original: bytes | None = None) -> None:
        """Keeps a photo's three sizes, and its own bytes when they are given."""
        for size, content in photo.variants().items():
            await self.put(variant_key(photo.digest, size), content)
        if original is not None:
            await self.put(original_key(photo.digest), original)
