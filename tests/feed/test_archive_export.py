"""An export gives back what was imported, and says what has become of it since."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.feed.archive.exporting import Exported, export
from services.feed.archive.files import write as write_files
from services.feed.archive.wiring import importer, long_connection
from services.feed.settings import FeedSettings
from services.feed.storage import Storage
from shared.errors import NotFound
from tests.feed.archives import Lines, line, lines, read, write
from tests.servers import Database, at_once, fresh_database


def by_name(archive: Lines) -> list[str]:
    """Sorted by type and ref, and by everything else for lines without one."""
    keyed = sorted(archive, key=lambda one: (one["type"], one.get("ref", ""), json.dumps(one, sort_keys=True)))
    return [json.dumps(one, sort_keys=True) for one in keyed]


async def imported(database: Database, folder: Path, archive: Lines) -> None:
    settings = FeedSettings(database_url=database.url_feed, data_dir=str(folder / "data"))
    async with importer(settings) as ready:
        await ready.run(write(folder, archive))


async def exported(database: Database, name: str | None) -> Exported:
    async with long_connection(database.url_feed, "test") as connection:
        return await export(connection, name)


def as_lines(found: Exported) -> Lines:
    from services.feed.archive.records import encode

    return [json.loads(encode(record)) for record in found.records]


async def test_what_was_imported_comes_back_line_for_line(database: Database, tmp_path: Path) -> None:
    await imported(database, tmp_path, lines())
    assert as_lines(await exported(database, "allotment")) == lines()


async def test_photos_come_back_to_the_byte_beside_the_file(database: Database, tmp_path: Path) -> None:
    await imported(database, tmp_path, lines())
    target = tmp_path / "out" / "again.jsonl"
    storage = Storage("", tmp_path / "data")
    await write_files(await exported(database, "allotment"), target, storage, lambda *_: None)
    assert read(target) == lines()
    for photo in ("media/heap.png", "media/deep/er.jpg"):
        assert (target.parent / photo).read_bytes() == (tmp_path / photo).read_bytes()
    assert sorted(path.name for path in target.parent.rglob("*") if path.is_file()) == [
        "again.jsonl",
        "er.jpg",
        "heap.png",
    ]


async def test_times_of_any_zone_come_back_in_whole_seconds_with_z(database: Database, tmp_path: Path) -> None:
    archive = lines()
    line(archive, "post", "p1")["created_at"] = "2025-04-02T09:10:00.900+02:00"
    await imported(database, tmp_path, archive)
    found = as_lines(await exported(database, "allotment"))
    assert line(found, "post", "p1")["created_at"] == "2025-04-02T07:10:00Z"


async def test_what_the_community_added_is_not_part_of_the_archive(database: Database, tmp_path: Path) -> None:
    await imported(database, tmp_path, lines())
    connection = await asyncpg.connect(database.url_feed)
    try:
        await connection.execute("INSERT INTO feed.account VALUES (7, 'visitor', 'V', NULL, 1, now())")
        await connection.execute("INSERT INTO feed.membership VALUES (7, 'compostheap', now())")
        await connection.execute("INSERT INTO feed.reaction SELECT id, 7, 'hug', now() FROM feed.post")
        await connection.execute(
            "INSERT INTO feed.comment (id, post_id, author_id, body, created_at)"
            " SELECT 9, id, 7, 'Hello', now() FROM feed.post WHERE kind = 'story'"
        )
    finally:
        await connection.close()
    assert as_lines(await exported(database, "allotment")) == lines()
    everything = as_lines(await exported(database, None))
    assert sum(one["type"] == "reaction" for one in everything) == 6
    assert line(everything, "member", "m7")["handle"] == "visitor"
    assert line(everything, "comment", "c9")["body"] == "Hello"


async def test_what_was_deleted_is_left_out_and_what_answered_it_stays(database: Database, tmp_path: Path) -> None:
    await imported(database, tmp_path, lines())
    connection = await asyncpg.connect(database.url_feed)
    try:
        await connection.execute("UPDATE feed.comment SET deleted_at = now(), body = '' WHERE parent IS NULL")
        await connection.execute("UPDATE feed.post SET deleted_at = now(), body = '' WHERE kind = 'story'")
    finally:
        await connection.close()
    found = as_lines(await exported(database, "allotment"))
    comments = [one for one in found if one["type"] == "comment"]
    assert [(one["ref"], one["parent"]) for one in comments] == [("c2", None)]
    assert [one["ref"] for one in found if one["type"] == "post"] == ["p1"]
    assert not [one for one in found if one.get("comment") == "c1"]


async def test_everything_can_be_imported_elsewhere(
    database: Database, postgres_server: Any, template: str, tmp_path: Path
) -> None:
    await imported(database, tmp_path, lines())
    out = tmp_path / "out" / "all.jsonl"
    found = await exported(database, None)
    await write_files(found, out, Storage("", tmp_path / "data"), lambda *_: None)
    with fresh_database(postgres_server, template) as elsewhere:
        settings = FeedSettings(database_url=elsewhere.url_feed, data_dir=str(tmp_path / "data2"))
        async with importer(settings) as ready:
            await ready.run(out)
        again = await exported(elsewhere, None)
        there = await asyncpg.connect(elsewhere.url_feed)
        here = await asyncpg.connect(database.url_feed)
        try:
            for query in (
                "SELECT slug, name, people, stories, posts FROM feed.topic_wire ORDER BY slug",
                "SELECT body, topics, reactions, comments, created_at, edited_at FROM feed.post_wire ORDER BY id",
                "SELECT body, replies, reactions, created_at FROM feed.comment_wire ORDER BY id",
            ):
                assert await there.fetch(query) == await here.fetch(query)
        finally:
            await there.close()
            await here.close()
    assert len(again.records) == len(found.records)


async def test_an_archive_nobody_imported_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await exported(database, "nothing")


def chorus(database: Database, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")},
        "CHORUS_DATABASE_URL": database.url_feed,
        "CHORUS_DATA_DIR": str(folder / "data"),
    }
    command = [sys.executable, "-m", "services.cli", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_do_it_and_say_so(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path, lines())
    done = chorus(database, tmp_path, "import", str(path), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["new"]["post"] == 2
    again = chorus(database, tmp_path, "import", str(path))
    assert again.returncode == 0
    assert "nothing new" in again.stdout
    printed = chorus(database, tmp_path, "export", "--archive", "allotment")
    assert by_name([json.loads(one) for one in printed.stdout.splitlines()]) == by_name(lines())
    assert "2 photos" in printed.stderr
    (tmp_path / "o").mkdir()
    written = chorus(database, tmp_path, "export", "--archive", "allotment", str(tmp_path / "o" / "out.jsonl"))
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "o" / "media" / "heap.png").exists()


def test_the_commands_refuse_with_their_exit_codes(database: Database, tmp_path: Path) -> None:
    archive = lines()
    archive += [{"type": "membership", "member": f"nobody{place}", "topic": "compostheap"} for place in range(150)]
    path = write(tmp_path, archive)
    refused = chorus(database, tmp_path, "import", str(path))
    assert refused.returncode == 3
    said = refused.stderr.splitlines()
    assert said[0] == "archive.jsonl: line 18, member: No line of type member has the name 'nobody0'."
    assert len(said) == 101
    assert said[-1] == "Nothing was imported: 150 faults, of which 100 are shown."
    told = chorus(database, tmp_path, "import", str(path), "--json")
    assert json.loads(told.stdout)["total"] == 150
    assert chorus(database, tmp_path, "import", str(tmp_path / "missing.jsonl")).returncode == 3
    assert chorus(database, tmp_path, "export", "--archive", "nothing").returncode == 3
    assert chorus(database, tmp_path, "import").returncode == 2
    gone = database._replace(url_feed=database.url_feed.replace(database.name, "nowhere"))
    assert chorus(gone, tmp_path, "export").returncode == 4
    assert at_once(_accounts(database.url_feed)) == 0


async def _accounts(url: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT count(*) FROM feed.account")
    finally:
        await connection.close()
