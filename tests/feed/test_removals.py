"""Photos' bytes go with the last photo that needs them, whatever dies or refuses in between."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.feed import removals
from services.feed.images import process
from services.feed.removals import Removals, hold, release
from services.feed.rows import now
from services.feed.storage import Storage, original_key, variant_key
from shared.postgres import Pool, open_pool
from shared.settings import Common
from tests.feed.community import Community, Member, made, problem
from tests.feed.conftest import Serve
from tests.feed.test_media import picture, upload
from tests.s3 import s3_server
from tests.servers import Database

PHOTO = process(picture())


@pytest.fixture
async def pool(feed_database: Database, community: Community) -> AsyncIterator[Pool]:
    opened = await open_pool(feed_database.url_feed, application_name="removals", max_size=3)
    yield opened
    await opened.close()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """The folder of the community."""
    return Storage("", tmp_path)


async def kept(storage: Storage) -> bool:
    sizes = [await storage.holds(variant_key(PHOTO.digest, size)) for size in PHOTO.variants()]
    assert len(set(sizes)) == 1, "a photo's sizes go together"
    return sizes[0]


async def waiting(community: Community) -> int:
    found: int = await community.owner.fetchval("select count(*) from feed.photo_removal")
    return found


async def illustrated(member: Member) -> tuple[dict[str, Any], dict[str, Any]]:
    """A post and its photo."""
    photo = made(await upload(member, picture()))
    return await member.post("look", media=[photo["id"]]), photo


async def test_bytes_go_after_their_post_and_after_an_edit_without_them(
    community: Community, pool: Pool, storage: Storage, tmp_path: Path
) -> None:
    ada = await community.member()
    for method, body in (("DELETE", None), ("PATCH", {"version": 1, "media": []})):
        post, photo = await illustrated(ada)
        await Removals(pool, storage).work()
        assert await kept(storage)
        assert (await ada.call(method, f"/v1/posts/{post['id']}", body)).is_success
        assert await waiting(community) == 1, "what is to go is written by the transaction that makes it so"
        await Removals(pool, storage).work()
        assert not await kept(storage)
        problem(await community.get(photo["urls"]["small"]), 404)
        assert await waiting(community) == 0
    assert not list((tmp_path / "media").iterdir())


async def test_bytes_that_another_photo_has_stay(community: Community, pool: Pool, storage: Storage) -> None:
    ada, ben = await community.member(), await community.member()
    post, _ = await illustrated(ada)
    other, photo = await illustrated(ben)
    await ada.call("DELETE", f"/v1/posts/{post['id']}")
    await Removals(pool, storage).work()
    assert (await community.get(photo["urls"]["full"])).status_code == 200
    await ben.call("DELETE", f"/v1/posts/{other['id']}")
    await Removals(pool, storage).work()
    assert not await kept(storage)


async def test_an_upload_that_no_post_takes_up_goes_after_a_day(
    community: Community, pool: Pool, storage: Storage
) -> None:
    ada = await community.member()
    photo = made(await upload(ada, picture()))
    await Removals(pool, storage).work()
    assert await kept(storage)
    await community.owner.execute("update feed.media set created_at = created_at - interval '25 hours'")
    await Removals(pool, storage).work()
    assert not await kept(storage)
    problem(await community.get(photo["urls"]["small"]), 404)


async def test_bytes_that_are_being_kept_are_held_and_those_of_a_crash_go_a_day_later(
    community: Community, pool: Pool, storage: Storage
) -> None:
    ada = await community.member()
    post, _ = await illustrated(ada)
    async with pool.acquire() as connection:
        await hold(connection, [PHOTO.digest])
    await ada.call("DELETE", f"/v1/posts/{post['id']}")
    await Removals(pool, storage).work()
    assert await kept(storage)
    assert await waiting(community) == 1, "the one who holds them looks after them"
    await community.owner.execute("update feed.photo_removal set due_at = due_at - interval '25 hours'")
    await Removals(pool, storage).work()
    assert not await kept(storage)


async def test_a_hold_waits_for_a_removal_under_way(community: Community, pool: Pool, storage: Storage) -> None:
    ada = await community.member()
    post, _ = await illustrated(ada)
    await ada.call("DELETE", f"/v1/posts/{post['id']}")
    removing, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Storage):
        async def drop(self, digest: str) -> None:
            removing.set()
            await go_on.wait()
            await storage.drop(digest)

    work = asyncio.create_task(Removals(pool, Slow("memory:///", "")).work())
    await removing.wait()
    uploading = asyncio.create_task(upload(ada, picture()))
    waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    while not await community.owner.fetchval(waits):  # noqa: ASYNC110 - what is waited for happens in Postgres
        await asyncio.sleep(0.01)
    assert await kept(storage), "nothing is kept anew before the removal is through"
    go_on.set()
    await work
    photo = made(await uploading)
    assert (await community.get(photo["urls"]["small"])).status_code == 200


async def test_a_removal_that_storage_takes_too_long_for_ends_before_its_bytes_are_kept_anew(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removals, "TIMEOUT", 0.5)
    with s3_server() as s3:
        storage = Storage.of(msgspec.convert(s3.settings(), Common))
        await storage.keep(PHOTO, original=b"as it was")
        async with pool.acquire() as connection:
            await release(connection, await hold(connection, [PHOTO.digest]))
        s3.slow = 1.5
        work = asyncio.create_task(Removals(pool, storage).work())
        async with asyncio.timeout(20):
            while not s3.deleting:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        async with pool.acquire() as connection:
            await hold(connection, [PHOTO.digest])
        await storage.keep(PHOTO, original=b"as it was")
        await work
        async with asyncio.timeout(20):
            while s3.deleting:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        assert await kept(storage)
        assert await storage.get(original_key(PHOTO.digest)) == b"as it was"


async def test_what_storage_refuses_is_tried_again_later_and_holds_up_nothing(
    community: Community, pool: Pool, storage: Storage
) -> None:
    class Broken(Storage):
        async def drop(self, digest: str) -> None:
            raise OSError("the disk is away")

    async with pool.acquire() as connection:
        await release(connection, await hold(connection, [PHOTO.digest, "cd" * 32]))
    await storage.keep(PHOTO)
    before = now()
    await Removals(pool, Broken("memory:///", "")).work()
    rows = await community.owner.fetch("select attempts, error, due_at from feed.photo_removal")
    assert [(row["attempts"], row["due_at"] > before) for row in rows] == [(1, True)] * 2
    assert "the disk is away" in rows[0]["error"]
    await Removals(pool, storage).work()
    assert await kept(storage), "not before it is due again"
    await community.owner.execute("update feed.photo_removal set due_at = due_at - interval '1 hour'")
    await Removals(pool, storage).work()
    assert (await kept(storage), await waiting(community)) == (False, 0)


async def test_a_store_in_memory_is_emptied_likewise(community: Community, pool: Pool) -> None:
    store = Storage("memory:///", "")
    await store.keep(PHOTO, original=b"as it was")
    async with pool.acquire() as connection:
        await release(connection, await hold(connection, [PHOTO.digest]))
    await Removals(pool, store).work()
    assert not await kept(store)
    assert not await store.holds(original_key(PHOTO.digest))


async def test_a_running_feed_removes_by_itself_what_was_left_before_it_started(serve: Serve, storage: Storage) -> None:
    community = await serve()
    ada = await community.member()
    post, _ = await illustrated(ada)
    await ada.call("DELETE", f"/v1/posts/{post['id']}")
    await serve()
    async with asyncio.timeout(20):
        while await waiting(community):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
    assert not await kept(storage)
