"""An import is whole or nothing, exact, quiet, and safe to repeat."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.feed.archive.importing import Importer
from services.feed.archive.records import BadArchive
from services.feed.archive.wiring import importer
from services.feed.settings import FeedSettings
from services.feed.storage import Storage, original_key, variant_key
from tests.feed.archives import Lines, line, lines, number, picture, write
from tests.servers import Database

TABLES = (
    *("account", "topic", "topic_count", "membership", "post", "post_topic", "post_count", "reaction", "comment"),
    *("comment_count", "comment_reaction", "media", "import_ref"),
)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(database.url_feed)
    yield opened
    await opened.close()


@pytest.fixture
async def ready(database: Database, tmp_path: Path) -> AsyncIterator[Importer]:
    settings = FeedSettings(database_url=database.url_feed, data_dir=str(tmp_path / "data"))
    async with importer(settings) as made:
        yield made


async def everything(connection: Any) -> dict[str, list[str]]:
    """Every row of the feed, and how many events there are."""
    found = {
        table: sorted(str(tuple(row)) for row in await connection.fetch(f"SELECT * FROM feed.{table}"))
        for table in TABLES
    }
    found["events"] = [str(await connection.fetchval("SELECT count(*) FROM eventlog.event"))]
    return found


async def test_what_is_imported_has_exact_counts(ready: Importer, connection: Any, tmp_path: Path) -> None:
    summary = await ready.run(write(tmp_path, lines()))
    assert summary.new == {"topic": 2, "member": 3, "membership": 3, "post": 2, "comment": 2, "reaction": 4}
    topics = await connection.fetch("SELECT slug, name, people, stories, posts FROM feed.topic_wire ORDER BY slug")
    assert [tuple(row) for row in topics] == [
        ("compostheap", "compost heap", 2, 0, 1),
        ("runnerbeans", "Runner beans", 1, 0, 0),
        ("worms", "worms", 0, 1, 1),
    ]
    story, post = await connection.fetch("SELECT * FROM feed.post_wire ORDER BY id")
    assert (story["body"], story["content_warning"], story["kind"]) == ("The slugs won. #worms", "slugs", "story")
    assert json.loads(post["reactions"]) == {"heart": 2, "joy": 1}
    assert (post["reaction_total"], post["comments"], post["topics"]) == (3, 2, ["compostheap", "worms"])
    assert post["body"] == line(lines(), "post", "p1")["body"]
    question, answer = await connection.fetch("SELECT * FROM feed.comment_wire ORDER BY id")
    assert (question["replies"], json.loads(question["reactions"])) == (1, {"hug": 1})
    assert answer["parent"] == question["id"]


async def test_topics_asked_for_are_kept_apart_from_those_in_the_text(
    ready: Importer, connection: Any, tmp_path: Path
) -> None:
    await ready.run(write(tmp_path, lines()))
    rows = await connection.fetch(
        "SELECT t.topic, t.asked, t.in_text FROM feed.post_topic t JOIN feed.post p ON p.id = t.post_id"
        " WHERE p.kind = 'post' ORDER BY t.topic"
    )
    assert [tuple(row) for row in rows] == [("compostheap", 0, 0), ("worms", None, 1)]


async def test_mentions_find_members_of_the_archive_and_of_the_community(
    ready: Importer, connection: Any, tmp_path: Path
) -> None:
    await connection.execute(
        "INSERT INTO feed.account (id, handle, display_name, created_at) VALUES (7, 'here_before', 'H', now())"
    )
    archive = lines()
    line(archive, "post", "p2")["body"] = "@bo_digs @here_before @nobody_here"
    await ready.run(write(tmp_path, archive))
    entities = await connection.fetchval("SELECT entities FROM feed.post WHERE kind = 'story'")
    bo = await connection.fetchval("SELECT id FROM feed.account WHERE handle = 'bo_digs'")
    assert [entity["account_id"] for entity in json.loads(entities)] == [str(bo), "7"]


async def test_ids_run_in_the_order_of_time(ready: Importer, connection: Any, tmp_path: Path) -> None:
    await ready.run(write(tmp_path, lines()))
    for table in ("post", "comment"):
        rows = await connection.fetch(f"SELECT id, created_at FROM feed.{table} ORDER BY id")
        assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)
        assert all(row["id"] >> 21 == int(row["created_at"].timestamp() * 1000) for row in rows)


async def test_nobody_is_told_but_the_topics_pages(ready: Importer, connection: Any, tmp_path: Path) -> None:
    await ready.run(write(tmp_path, lines()))
    events = await connection.fetch("SELECT type, channels FROM eventlog.event ORDER BY id")
    assert [(row["type"], row["channels"]) for row in events] == [
        (kind, [f"topic:{slug}"])
        for slug in ("compostheap", "runnerbeans", "worms")
        for kind in ("topic.changed", "topic.reloaded")
    ]
    header = json.loads(await connection.fetchval("SELECT payload FROM eventlog.event ORDER BY id LIMIT 1"))
    assert header["topic"]["people"] == 2


async def test_imported_members_can_not_sign_in(ready: Importer, connection: Any, tmp_path: Path) -> None:
    await ready.run(write(tmp_path, lines()))
    assert await connection.fetchval("SELECT count(*) FROM feed.account WHERE password_hash IS NULL") == 3


async def test_repeating_an_import_changes_nothing(ready: Importer, connection: Any, tmp_path: Path) -> None:
    path = write(tmp_path, lines())
    await ready.run(path)
    before = await everything(connection)
    summary = await ready.run(path)
    assert set(summary.new.values()) == {0}
    assert summary.unchanged["post"] == 2
    assert await everything(connection) == before


async def test_what_was_deleted_or_left_since_is_not_brought_back(
    ready: Importer, connection: Any, tmp_path: Path
) -> None:
    path = write(tmp_path, lines())
    await ready.run(path)
    await connection.execute("UPDATE feed.post SET deleted_at = now(), body = '' WHERE kind = 'story'")
    await connection.execute("DELETE FROM feed.membership")
    before = await everything(connection)
    await ready.run(path)
    assert await everything(connection) == before


async def test_a_longer_archive_of_the_same_name_adds_what_is_new(
    ready: Importer, connection: Any, tmp_path: Path
) -> None:
    archive = lines()
    await ready.run(write(tmp_path, archive))
    events = await connection.fetchval("SELECT max(id) FROM eventlog.event")
    moment = "2025-04-03T08:00:00Z"
    archive += [
        {
            "type": "comment",
            "ref": "c3",
            "post": "p1",
            "author": "c",
            "parent": "c1",
            "body": "!",
            "created_at": moment,
        },
        {"type": "reaction", "comment": "c1", "member": "b", "kind": "hug"},
    ]
    summary = await ready.run(write(tmp_path, archive))
    assert (summary.new["comment"], summary.new["reaction"], summary.new["post"]) == (1, 1, 0)
    post = await connection.fetchrow(
        "SELECT id, author_id, comments, reaction_total FROM feed.post_wire WHERE comments > 0"
    )
    assert (post["comments"], post["reaction_total"]) == (3, 3)
    counts = await connection.fetchrow("SELECT replies, reactions FROM feed.comment_count WHERE replies > 0")
    assert (counts["replies"], json.loads(counts["reactions"])) == (2, {"hug": 2})
    told = await connection.fetch("SELECT type, channels FROM eventlog.event WHERE id > $1", events)
    cem = await connection.fetchval("SELECT id FROM feed.account WHERE handle = 'cem12'")
    assert [(row["type"], row["channels"]) for row in told] == [
        ("topic.reloaded", [f"post:{post['id']}", "topic:compostheap", "topic:worms", f"member:{cem}"])
    ]


def spoil_words(archive: Lines, folder: Path) -> tuple[int, str, str]:
    line(archive, "post", "p2")["body"] = "x" * 5001
    return number(archive, line(archive, "post", "p2")), "body", "too_long"


def spoil_missing(archive: Lines, folder: Path) -> tuple[int, str, str]:
    line(archive, "post", "p1")["media"][1]["file"] = "media/gone.png"
    return number(archive, line(archive, "post", "p1")), "media.1.file", "missing"


def spoil_outside(archive: Lines, folder: Path) -> tuple[int, str, str]:
    (folder / "outside.png").write_bytes(picture("PNG", (1, 2, 3)))
    line(archive, "post", "p1")["media"][0]["file"] = "../outside.png"
    return number(archive, line(archive, "post", "p1")), "media.0.file", "path"


def spoil_absolute(archive: Lines, folder: Path) -> tuple[int, str, str]:
    (folder / "outside.png").write_bytes(picture("PNG", (1, 2, 3)))
    line(archive, "post", "p1")["media"][0]["file"] = str(folder / "outside.png")
    return number(archive, line(archive, "post", "p1")), "media.0.file", "path"


def spoil_link(archive: Lines, folder: Path) -> tuple[int, str, str]:
    (folder / "outside.png").write_bytes(picture("PNG", (1, 2, 3)))
    (folder / "in").mkdir()
    (folder / "in" / "link.png").symlink_to(folder / "outside.png")
    line(archive, "post", "p1")["media"][0]["file"] = "link.png"
    return number(archive, line(archive, "post", "p1")), "media.0.file", "path"


def spoil_picture(archive: Lines, folder: Path) -> tuple[int, str, str]:
    (folder / "in").mkdir()
    (folder / "in" / "no.png").write_bytes(b"hello")
    line(archive, "post", "p1")["media"][0]["file"] = "no.png"
    return number(archive, line(archive, "post", "p1")), "media.0.file", "unsupported_type"


@pytest.mark.parametrize(
    "spoil", [spoil_words, spoil_missing, spoil_outside, spoil_absolute, spoil_link, spoil_picture]
)
async def test_with_any_fault_nothing_is_written(
    spoil: Callable[[Lines, Path], tuple[int, str, str]], ready: Importer, connection: Any, tmp_path: Path
) -> None:
    archive = lines()
    expected = spoil(archive, tmp_path)
    (tmp_path / "in").mkdir(exist_ok=True)
    before = await everything(connection)
    with pytest.raises(BadArchive) as refused:
        await ready.run(write(tmp_path / "in", archive))
    assert [(fault.line, fault.field, fault.code) for fault in refused.value.faults] == [expected]
    assert await everything(connection) == before
    assert not [path for path in (tmp_path / "data" / "media").rglob("*") if path.is_file()]


async def test_faults_of_file_photos_and_community_are_told_together(
    ready: Importer, connection: Any, tmp_path: Path
) -> None:
    await connection.execute(
        "INSERT INTO feed.account (id, handle, display_name, created_at) VALUES (7, 'cem12', 'Other', now())"
    )
    await connection.execute(
        "INSERT INTO feed.topic VALUES ('runnerbeans', 'Beans', 'RunnerBeans', 'All about beans.', now())"
    )
    archive = lines()
    spoil_words(archive, tmp_path)
    spoil_missing(archive, tmp_path)
    with pytest.raises(BadArchive) as refused:
        await ready.run(write(tmp_path, archive))
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [
        ("slug", "taken"),
        ("handle", "taken"),
        ("media.1.file", "missing"),
        ("body", "too_long"),
    ]
    assert refused.value.faults[1].line == number(archive, line(archive, "member", "c"))


async def test_a_line_that_changed_since_it_was_imported_is_refused(ready: Importer, tmp_path: Path) -> None:
    archive = lines()
    await ready.run(write(tmp_path, archive))
    changed = line(archive, "post", "p2")
    changed["body"] = "Other words."
    path = write(tmp_path, archive)
    (tmp_path / "media" / "heap.png").write_bytes(picture("PNG", (1, 1, 1)))
    with pytest.raises(BadArchive) as refused:
        await ready.run(path)
    post = number(archive, line(archive, "post", "p1"))
    assert [(fault.line, fault.field, fault.code) for fault in refused.value.faults] == [
        (post, "media.0.file", "changed"),
        (number(archive, changed), "", "changed"),
    ]


async def test_a_topic_that_only_a_hashtag_had_made_gets_its_header(
    ready: Importer, connection: Any, tmp_path: Path
) -> None:
    await connection.execute("INSERT INTO feed.topic VALUES ('compostheap', 'COMPOSTheap', 'COMPOSTheap', NULL, now())")
    await connection.execute("INSERT INTO feed.topic_count (slug, posts) VALUES ('compostheap', 5)")
    await ready.run(write(tmp_path, lines()))
    row = await connection.fetchrow(
        "SELECT name, description, people, posts FROM feed.topic_wire WHERE slug = 'compostheap'"
    )
    assert tuple(row) == ("compost heap", "What rots.", 2, 6)


async def test_photos_are_served_without_and_kept_with_what_came_along(
    ready: Importer, connection: Any, database: Database, tmp_path: Path
) -> None:
    await ready.run(write(tmp_path, lines()))
    rows = await connection.fetch("SELECT digest, alt, width, height, place FROM feed.media ORDER BY place")
    assert [tuple(row)[1:] for row in rows] == [("A heap", 60, 40, 0), (None, 60, 40, 1)]
    storage = Storage("", tmp_path / "data")
    assert await storage.get(original_key(rows[0]["digest"])) == (tmp_path / "media" / "heap.png").read_bytes()
    assert (await storage.get(variant_key(rows[0]["digest"], "small")))[8:12] == b"WEBP"


async def test_thousands_of_posts_are_a_few_statements(ready: Importer, connection: Any, tmp_path: Path) -> None:
    archive = lines()
    archive += [
        {
            **line(lines(), "post", "p2"),
            "ref": f"many{place}",
            "body": f"#tag{place % 50} and so on",
            "created_at": f"2025-03-{1 + place % 28:02}T12:00:00Z",
            "edited_at": f"2025-03-{1 + place % 28:02}T12:00:01Z",
        }
        for place in range(5_000)
    ]
    reported: list[tuple[str, int, int]] = []
    summary = await ready.run(write(tmp_path, archive), report=lambda *told: reported.append(told))
    assert summary.new["post"] == 5_002
    assert await connection.fetchval("SELECT sum(stories) FROM feed.topic_count WHERE slug LIKE 'tag%'") == 5_000
    assert await connection.fetchval("SELECT count(DISTINCT id) FROM feed.post") == 5_002
    assert len([told for told in reported if told[0] == "Writing"]) < 100
