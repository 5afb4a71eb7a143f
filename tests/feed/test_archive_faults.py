"""An archive with any fault is refused as a whole, with every fault named, and nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.feed.archive.importing import Importer
from services.feed.archive.records import BadArchive
from tests.feed.archives import Lines, everything, line, lines, number, picture, write


def spoil_words(archive: Lines, folder: Path) -> tuple[int, str, str]:
    line(archive, "post", "p2")["body"] = "x" * 40_001  # it is a story
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
