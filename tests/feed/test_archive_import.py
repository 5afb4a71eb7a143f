"""An import is whole or nothing, exact, quiet, and safe to repeat."""

import json
from pathlib import Path
from typing import Any

from services.feed.archive.importing import Importer
from tests.feed.archives import everything, line, lines, write


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
