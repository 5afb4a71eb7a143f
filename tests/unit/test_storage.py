"""Photos kept in a folder: by content, whole, streamed."""

import os
from pathlib import Path

import pytest

from services.feed.images import Processed
from services.feed.storage import Storage, original_key, variant_key
from shared.errors import NotFound

PHOTO = Processed(
    width=2, height=1, type="image/webp", digest="ab" * 32, small=b"small", medium=b"medium", full=b"full" * 200_000
)


async def test_what_is_kept_comes_back_to_the_byte(tmp_path: Path) -> None:
    storage = Storage("", tmp_path)
    await storage.keep(PHOTO, original=b"as it was")
    await storage.keep(PHOTO)
    assert await storage.get(variant_key(PHOTO.digest, "small")) == b"small"
    assert await storage.get(original_key(PHOTO.digest)) == b"as it was"
    size, pieces = await storage.stream(variant_key(PHOTO.digest, "full"))
    assert size == 800_000
    assert b"".join([piece async for piece in pieces]) == PHOTO.full
    assert (tmp_path / "media").is_dir()


async def test_an_upload_leaves_no_original_behind(tmp_path: Path) -> None:
    storage = Storage("", tmp_path)
    await storage.keep(PHOTO)
    assert not await storage.holds(original_key(PHOTO.digest))
    assert await storage.holds(variant_key(PHOTO.digest, "full"))


async def test_what_is_not_there_is_not_found_and_deleting_it_is_well(tmp_path: Path) -> None:
    storage = Storage("", tmp_path)
    with pytest.raises(NotFound):
        await storage.get(variant_key("cd" * 32, "full"))
    with pytest.raises(NotFound):
        await storage.stream(variant_key("cd" * 32, "full"))
    await storage.delete(variant_key("cd" * 32, "full"))


async def test_another_store_is_a_setting_away(tmp_path: Path) -> None:
    storage = Storage("memory:///", tmp_path)
    await storage.put("a/b", b"c")
    assert await storage.get("a/b") == b"c"
    assert not os.listdir(tmp_path)
