"""Photos kept in a folder or in S3: by content, whole; what keeps them may be away."""

import asyncio
import os
import threading
from pathlib import Path

import msgspec
import pytest

from services.bench.stack import free_port
from services.doctor.photos import photos_found
from services.feed import storage as storage_module
from services.feed.images import SIZES, Processed
from services.feed.storage import Storage, original_key, variant_key
from shared.errors import Busy, NotFound
from shared.settings import Common
from tests.s3 import S3, s3_server

PHOTO = Processed(
    width=2, height=1, type="image/webp", digest="ab" * 32, small=b"small", medium=b"medium", full=b"full" * 200_000
)


async def all_keys(storage: Storage) -> set[str]:
    found: set[str] = set()
    async for keys in storage.keys():
        found |= set(keys)
    return found


async def test_what_is_kept_comes_back_to_the_byte(tmp_path: Path) -> None:
    storage = Storage("", tmp_path)
    await storage.keep(PHOTO, original=b"as it was")
    await storage.keep(PHOTO)
    assert await storage.get(variant_key(PHOTO.digest, "small")) == b"small"
    assert await storage.get(original_key(PHOTO.digest)) == b"as it was"
    assert await storage.get(variant_key(PHOTO.digest, "full")) == PHOTO.full
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
    await storage.delete(variant_key("cd" * 32, "full"))


async def test_another_store_is_a_setting_away(tmp_path: Path) -> None:
    storage = Storage("memory:///", tmp_path)
    await storage.put("a/b", b"c")
    assert await storage.get("a/b") == b"c"
    assert not os.listdir(tmp_path)


async def test_no_native_thread_of_the_library_comes_back_to_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that did as the interpreter ended aborted the process: `chorus doctor` was right, and exited with -6."""
    loop, callers = asyncio.get_running_loop(), set()
    wake = loop.call_soon_threadsafe

    def noted(*arguments: object, **words: object) -> object:
        callers.add(threading.current_thread().name.partition("_")[0])
        return wake(*arguments, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", noted)
    storage = Storage("", tmp_path)
    await storage.put("a/b", b"c")
    await storage.look()
    assert await all_keys(storage) == {"a/b"}
    assert await storage.get("a/b") == b"c"
    assert await storage.holds("a/b")
    await storage.delete("a/b")
    assert callers
    assert callers <= {"storage", "MainThread"}  # the latter where a call was done before it was waited for


def in_s3(s3: S3) -> Common:
    """The settings of who keeps photos there."""
    return msgspec.convert(s3.settings(), Common)


async def test_photos_are_kept_in_s3_by_the_keys_endpoint_and_region_of_the_settings() -> None:
    with s3_server(region="eu-central-1") as s3:
        storage = Storage.of(in_s3(s3))
        await storage.look()
        await storage.keep(PHOTO, original=b"as it was")
        assert s3.objects[f"/photos/of/chorus/{original_key(PHOTO.digest)}"] == b"as it was"
        assert await storage.get(variant_key(PHOTO.digest, "small")) == b"small"
        assert await storage.get(variant_key(PHOTO.digest, "full")) == PHOTO.full
        assert await all_keys(storage) == {
            original_key(PHOTO.digest),
            *(variant_key(PHOTO.digest, size) for size in SIZES),
        }
        assert await storage.holds(original_key(PHOTO.digest))
        for _ in range(2):
            await storage.drop(PHOTO.digest)
        assert not s3.objects
        assert not await storage.holds(original_key(PHOTO.digest))
        with pytest.raises(NotFound):
            await storage.get(original_key(PHOTO.digest))
        assert s3.refused == 0


async def test_a_deletion_that_is_cancelled_ends_first_however_often_it_is() -> None:
    """Whoever held a lock around it would give that up with the deletion still under way."""
    with s3_server() as s3:
        storage = Storage.of(in_s3(s3))
        await storage.put("a/b", b"c")
        s3.slow = 0.5
        deleting = asyncio.create_task(storage.delete("a/b"))
        while not s3.deleting:  # noqa: ASYNC110 - another thread's to tell
            await asyncio.sleep(0.01)
        for _ in range(3):
            deleting.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await deleting
        assert not s3.objects


async def test_who_is_cancelled_reading_leaves_at_once_and_who_waits_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "THREADS", 1)
    monkeypatch.setattr(storage_module, "WAIT", 0.05)
    storage, go_on = Storage("", tmp_path), threading.Event()
    reading = asyncio.create_task(storage._call(go_on.wait))
    await asyncio.sleep(0.01)
    with pytest.raises(Busy):
        await storage.get("a/b")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    go_on.set()
    async with asyncio.timeout(20):
        while storage._free.locked():  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.01)
    with pytest.raises(NotFound):
        await storage.get("a/b")


@pytest.mark.parametrize(
    "wrong",
    [
        {"media_secret_key": "another"},
        {"media_access_key": "another"},
        {"media_region": ""},
        {"media_url": "s3://none"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_s3_that_refuses_is_a_reason_to_try_later_and_the_doctor_names_it(wrong: dict[str, str]) -> None:
    with s3_server(region="eu-central-1") as s3:
        settings = msgspec.structs.replace(in_s3(s3), **wrong)
        with pytest.raises(Busy):
            await Storage.of(settings).put("a/b", b"c")
        [finding] = await photos_found(settings)
        assert finding.do
        assert settings.media_url in finding.found
        assert s3.secret not in finding.found
        [finding] = await photos_found(in_s3(s3))
        assert finding.ok


async def test_s3_that_is_away_is_a_reason_to_try_later_and_no_folder_is_looked_at(tmp_path: Path) -> None:
    nobody = Common(media_url="s3://photos", media_endpoint=f"http://127.0.0.1:{free_port()}")
    nobody = msgspec.structs.replace(nobody, media_access_key="a", media_secret_key="b")
    with pytest.raises(Busy):
        await Storage.of(nobody).get("a/b")
    assert await photos_found(Common(data_dir=str(tmp_path))) == []
