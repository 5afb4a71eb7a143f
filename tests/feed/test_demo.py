"""The demo community is whole, alive, and can be signed in to."""

from datetime import timedelta
from pathlib import Path

import asyncpg

from services.feed import demo
from services.feed.demo.roles import ROLES, TITLE
from services.feed.passwords import Passwords
from services.feed.rows import now
from services.feed.settings import FeedSettings
from tests.feed.archives import read
from tests.servers import Database

SECRET = "s" * 40


async def test_the_demo_is_a_small_town_that_was_alive_a_moment_ago(database: Database, tmp_path: Path) -> None:
    settings = FeedSettings(database_url=database.url_feed, data_dir=str(tmp_path), secret_key=SECRET)
    summary = await demo.seed(settings)
    assert (summary.new["member"], summary.new["topic"]) == (12, 6)
    assert 36 <= summary.new["post"] <= 44
    connection = await asyncpg.connect(database.url_feed)
    try:
        newest = await connection.fetchval("SELECT max(created_at) FROM feed.comment")
        assert timedelta(minutes=11) < now() - newest < timedelta(minutes=14)
        assert await connection.fetchval("SELECT count(*) FROM feed.post_wire WHERE title IS NULL") > 5
        assert await connection.fetchval("SELECT count(*) FROM feed.post_wire WHERE comments = 0") > 0
        assert await connection.fetchval("SELECT count(*) FROM feed.post_wire WHERE content_warning IS NOT NULL") > 1
        assert await connection.fetchval("SELECT count(*) FROM feed.media WHERE alt IS NULL") == 0
        stored = await connection.fetchval("SELECT password_hash FROM feed.account WHERE handle = 'kwame'")
        locked = await connection.fetchval("SELECT count(*) FROM feed.account WHERE password_hash IS NULL")
        rows = await connection.fetch("SELECT handle, role FROM feed.account WHERE role <> 'member'")
        assert {row["handle"]: row["role"] for row in rows} == ROLES
        assert await connection.fetchval("SELECT count(*) FROM feed.role_grant") == len(ROLES)
        assert await connection.fetchval("SELECT count(*) FROM feed.post_wire WHERE kind = 'story'") == 3
        assert await connection.fetchval("SELECT title FROM feed.story WHERE state = 'review'") == TITLE
        mentions = 'SELECT count(*) FROM feed.post WHERE entities @> \'[{"type": "mention"}]\''
        assert await connection.fetchval(mentions) >= 4
    finally:
        await connection.close()
    assert await Passwords().matches(stored, demo.password(SECRET, "kwame"))
    assert locked == 12 - len(demo.SIGN_IN_AS)
    assert await demo.logins(settings) == [f"{name}  {demo.password(SECRET, name)}" for name in demo.SIGN_IN_AS]
    again = await demo.seed(settings)
    assert set(again.new.values()) == {0}


async def test_without_the_demo_there_are_no_logins(database: Database) -> None:
    assert await demo.logins(FeedSettings(database_url=database.url_feed, secret_key=SECRET)) == []


def test_another_installation_has_other_passwords() -> None:
    assert demo.password(SECRET, "kwame") != demo.password("t" * 40, "kwame")


def test_the_demo_stays_small_and_every_photo_is_used_and_described() -> None:
    folder = demo.ARCHIVE.parent
    photos = [photo for one in read(demo.ARCHIVE) if one["type"] == "post" for photo in one["media"]]
    assert sorted(photo["file"] for photo in photos) == sorted(
        str(path.relative_to(folder)) for path in (folder / "media").iterdir()
    )
    assert all(len(photo["alt"]) > 30 for photo in photos)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1_500_000
