"""The drill: an older dump is restored under live clients, and everybody ends equal to Postgres."""

import asyncio
import json
from pathlib import Path

from tests.e2e.people import Member
from tests.eventlog.rig import Rig, until
from tests.production.commands import chorus, environment
from tests.production.readers import SLUG, Reader, told, unread
from tests.servers import Database
from tests.stack import Stack


async def test_an_older_dump_is_restored_under_live_clients_and_everybody_ends_equal_to_postgres(
    services: Stack, database: Database, redis_url: str, tmp_path: Path
) -> None:
    env = environment(database, tmp_path, redis_url)
    members = [await Member.sign_up(services.url, name) for name in ("anna", "bert", "cleo")]
    anna, bert, cleo = members
    kept = await anna.post(f"Kept. #{SLUG}")
    await bert.comment(kept, "Told before the backup.")
    readers = [Reader(services, member) for member in members]
    for reader in readers:
        await reader.open()

    await told(services, anna, 1)
    before = await unread(services, anna)

    made = json.loads(await chorus(env, "backup", str(tmp_path), "--json"))
    lost = await bert.post(f"Lost. #{SLUG}")
    await bert.comment(kept, "Told after the backup.")
    await cleo.call("PUT", f"/v1/posts/{kept['id']}/reaction", {"kind": "heart"})
    await told(services, anna, 3)
    await asyncio.gather(*(reader.shows(lost) for reader in readers))
    epoch = readers[0].client.welcome["epoch"]

    said = await chorus(env, "restore", made["file"], code=3)
    assert "which would be gone" in said
    restored = json.loads(await chorus(env, "restore", made["file"], "--replace", "--json"))
    assert restored["epoch"] > epoch
    assert restored["accounts"] == 3

    await asyncio.gather(*(reader.closed_by_a_new_epoch() for reader in readers))
    assert [reader.codes for reader in readers] == [[4006]] * 3
    services.feed.wait_ready()
    services.notify.wait_ready()
    for reader in readers:
        assert lost["id"] in reader.page.posts  # what a page still shows, until it has fetched again
        await reader.open()
        assert reader.client.welcome["epoch"] == restored["epoch"]
    assert await unread(services, anna) == before

    again = await cleo.post(f"After the restore. #{SLUG}")
    await cleo.comment(kept, "And told again.")
    await told(services, anna, 2)
    for reader in readers:
        await reader.shows(again)
        await until(reader.equals_postgres)
        assert lost["id"] not in reader.page.posts
        assert reader.client.subscriptions[f"topic:{SLUG}"].gaps == 0
        await reader.client.close()
    async with Rig(database, redis_url) as rig:
        await rig.settle()
        await rig.check()
    assert "BAD" not in await chorus({**env, "CHORUS_NOTIFY_DATABASE_URL": database.url_notify}, "audit")
    for member in members:
        await member.http.aclose()
