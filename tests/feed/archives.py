"""A small archive for tests: three people, two topics, a thread, photos; and ways to spoil it."""

import copy
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

Lines = list[dict[str, Any]]

TABLES = (
    *("account", "topic", "topic_count", "membership", "post", "post_topic", "post_count", "reaction", "comment"),
    *("comment_count", "comment_reaction", "media", "import_ref"),
)

_LINES: Lines = [
    {"type": "archive", "version": 1, "name": "allotment"},
    {
        "type": "topic",
        "slug": "compostheap",
        "name": "compost heap",
        "tag": "Compost-Heap",
        "description": "What rots.",
    },
    {"type": "topic", "slug": "runnerbeans", "name": "Runner beans", "tag": "RunnerBeans", "description": None},
    {"type": "member", "ref": "a", "handle": "ada_plot4", "display_name": "Ada (plot 4)"},
    {"type": "member", "ref": "b", "handle": "bo", "display_name": "Bo 🌱"},
    {"type": "member", "ref": "c", "handle": "cem12", "display_name": "Cem"},
    {"type": "membership", "member": "a", "topic": "compostheap"},
    {"type": "membership", "member": "b", "topic": "compostheap"},
    {"type": "membership", "member": "c", "topic": "runnerbeans"},
    {
        "type": "post",
        "ref": "p1",
        "author": "a",
        "kind": "post",
        "title": "It steams",
        "body": "Sixty degrees this morning.#Compost_heap #worms\nThanks @bo_digs, again “yours” 👩\u200d🌾",
        "topics": ["compostheap"],
        "media": [{"file": "media/heap.png", "alt": "A heap"}, {"file": "media/deep/er.jpg", "alt": None}],
        "created_at": "2025-04-02T07:10:00Z",
    },
    {
        "type": "comment",
        "ref": "c2",
        "post": "p1",
        "author": "a",
        "parent": "c1",
        "body": "Nine.",
        "created_at": "2025-04-02T07:12:00Z",
    },
    {
        "type": "comment",
        "ref": "c1",
        "post": "p1",
        "author": "b",
        "parent": None,
        "body": "How many barrows?",
        "created_at": "2025-04-02T07:11:00Z",
    },
    {
        "type": "post",
        "ref": "p2",
        "author": "c",
        "kind": "story",
        "title": None,
        "body": "The slugs won. #worms",
        "content_warning": "slugs",
        "topics": [],
        "media": [],
        "created_at": "2025-04-01T20:00:00Z",
        "edited_at": "2025-04-01T20:05:00Z",
    },
    {"type": "reaction", "post": "p1", "member": "b", "kind": "heart"},
    {"type": "reaction", "post": "p1", "member": "c", "kind": "heart"},
    {"type": "reaction", "post": "p1", "member": "a", "kind": "joy"},
    {"type": "reaction", "comment": "c1", "member": "a", "kind": "hug"},
]


def lines() -> Lines:
    """The archive, to be changed at will."""
    made = copy.deepcopy(_LINES)
    made[4]["handle"] = "bo_digs"
    return made


def line(archive: Lines, kind: str, ref: str = "") -> dict[str, Any]:
    """The line of this type and ref (or slug)."""
    return next(one for one in archive if one["type"] == kind and ref in ("", one.get("ref"), one.get("slug")))


def number(archive: Lines, wanted: dict[str, Any]) -> int:
    """Where a line stands, from 1."""
    return next(place for place, one in enumerate(archive, 1) if one is wanted)


def picture(kind: str, colour: tuple[int, int, int]) -> bytes:
    """A small photo."""
    out = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(out, kind)
    return out.getvalue()


def write(folder: Path, archive: Lines, name: str = "archive.jsonl") -> Path:
    """The archive as a file in `folder`, with its photos."""
    (folder / "media" / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "media" / "heap.png").write_bytes(picture("PNG", (90, 60, 20)))
    (folder / "media" / "deep" / "er.jpg").write_bytes(picture("JPEG", (20, 90, 30)))
    path = folder / name
    path.write_text("".join(json.dumps(one) + "\n" for one in archive))
    return path


def read(path: Path) -> Lines:
    """An archive's lines."""
    return [json.loads(one) for one in path.read_text().splitlines()]


async def everything(connection: Any) -> dict[str, list[str]]:
    """Every row of the feed, and how many events there are."""
    found = {
        table: sorted(str(tuple(row)) for row in await connection.fetch(f"SELECT * FROM feed.{table}"))
        for table in TABLES
    }
    found["events"] = [str(await connection.fetchval("SELECT count(*) FROM eventlog.event"))]
    return found
