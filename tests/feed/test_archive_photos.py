"""Photos of an archive: kept to the byte, served without what came along, gone with their posts."""

from pathlib import Path
from typing import Any

from services.feed.archive.importing import Importer
from services.feed.edits import Edits
from services.feed.removals import Removals
from services.feed.storage import Storage, original_key, variant_key
from shared.postgres import open_pool
from tests.feed.archives import lines, write
from tests.servers import Database


async def test_photos_are_served_without_and_kept_with_what_came_along(
    ready: Importer, connection: Any, database: Database, tmp_path: Path
) -> None:
    await ready.run(write(tmp_path, lines()))
    rows = await connection.fetch("SELECT digest, alt, width, height, place FROM feed.media ORDER BY place")
    assert [tuple(row)[1:] for row in rows] == [("A heap", 60, 40, 0), (None, 60, 40, 1)]
    storage = Storage("", tmp_path / "data")
    assert await storage.get(original_key(rows[0]["digest"])) == (tmp_path / "media" / "heap.png").read_bytes()
    assert (await storage.get(variant_key(rows[0]["digest"], "small")))[8:12] == b"WEBP"


async def test_photos_are_held_until_their_posts_carry_them_and_go_with_them(
    ready: Importer, connection: Any, database: Database, tmp_path: Path
) -> None:
    storage = Storage("", tmp_path / "data")
    pool = await open_pool(database.url_feed, application_name="photos", max_size=2)
    removals = Removals(pool, storage)
    for _ in range(2):  # what was imported before is held and found needed likewise
        await ready.run(write(tmp_path, lines()))
        assert await connection.fetchval("SELECT count(*) FROM feed.photo_removal WHERE due_at <= now()") == 2
        await removals.work()
        for row in await connection.fetch("SELECT digest FROM feed.media"):
            assert await storage.holds(original_key(row["digest"]))
    digests = [row["digest"] for row in await connection.fetch("SELECT digest FROM feed.media")]
    post = await connection.fetchrow("SELECT id, author_id FROM feed.post WHERE title = 'It steams'")
    await Edits(pool).delete(post["id"], post["author_id"])
    await removals.work()
    await ready.run(write(tmp_path, lines()))  # it brings nothing back, so neither do the bytes stay
    await removals.work()
    assert not any([await storage.holds(original_key(digest)) for digest in digests])
    assert not any([await storage.holds(variant_key(digest, "full")) for digest in digests])
    await pool.close()
