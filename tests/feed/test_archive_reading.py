"""Everything that is wrong with an archive by itself is named by line and field, all at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.feed.archive.reading import read
from tests.feed.archives import Lines, line, lines, number, write

KINDS = ("heart", "hug", "joy")


def faults(path: Path) -> list[tuple[int, str, str]]:
    _, found = read(path, reaction_kinds=KINDS)
    return [(fault.line, fault.field, fault.code) for fault in sorted(found, key=lambda f: (f.line, f.field))]


def test_a_good_archive_has_no_fault(tmp_path: Path) -> None:
    assert faults(write(tmp_path, lines())) == []


def change(kind: str, ref: str, field: str, value: Any) -> Callable[[Lines], tuple[int, str]]:
    def apply(archive: Lines) -> tuple[int, str]:
        spoiled = line(archive, kind, ref)
        spoiled[field] = value
        return number(archive, spoiled), field

    return apply


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (change("archive", "", "version", 2), "version"),
        (change("topic", "compostheap", "tag", "#Compost"), "tag"),
        (change("topic", "compostheap", "name", ""), "too_short"),
        (change("member", "a", "handle", "Ada"), "handle"),
        (change("member", "a", "handle", "bo_digs"), "duplicate"),
        (change("member", "a", "display_name", "Ada\n"), "control_character"),
        (change("membership", "", "member", "nobody"), "unknown_ref"),
        (change("membership", "", "topic", "nothing"), "unknown_ref"),
        (change("post", "p1", "author", "nobody"), "unknown_ref"),
        (change("post", "p1", "kind", "poem"), "unknown_value"),
        (change("post", "p1", "body", "x" * 5001), "too_long"),
        (change("post", "p1", "body", "nul\0"), "control_character"),
        (change("post", "p1", "title", ""), "too_short"),
        (change("post", "p1", "content_warning", None), "type"),
        (change("post", "p1", "created_at", "yesterday"), "type"),
        (change("post", "p1", "created_at", "2025-04-02T07:10:00"), "type"),
        (change("post", "p1", "created_at", "2925-04-02T07:10:00Z"), "time"),
        (change("post", "p1", "likes", 3), "unknown"),
        (change("comment", "c1", "post", "p9"), "unknown_ref"),
        (change("comment", "c1", "parent", "c9"), "unknown_ref"),
        (change("reaction", "", "member", "nobody"), "unknown_ref"),
        (change("reaction", "", "kind", "thumb"), "unknown_value"),
        (change("reaction", "", "member", "c"), "duplicate"),
    ],
)
def test_a_fault_names_its_line_and_field(spoil: Callable[[Lines], tuple[int, str]], code: str, tmp_path: Path) -> None:
    archive = lines()
    where, field = spoil(archive)
    found = faults(write(tmp_path, archive))
    if code == "duplicate":  # the second of two lines is the one at fault
        assert [(f, c) for _, f, c in found] == [(field, code)]
        assert found[0][0] >= where
    else:
        assert found == [(where, field, code)]


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    archive = lines()
    spoiled = line(archive, "post", "p1")
    del spoiled["body"], spoiled["media"]
    where = number(archive, spoiled)
    assert faults(write(tmp_path, archive)) == [(where, "body", "required"), (where, "media", "required")]


def test_a_reaction_answers_one_thing(tmp_path: Path) -> None:
    archive = lines()
    spoiled = line(archive, "reaction")
    spoiled["comment"] = "c1"
    assert faults(write(tmp_path, archive)) == [(number(archive, spoiled), "post", "target")]


def test_a_topic_asked_for_twice_or_unknown_is_named_by_its_place(tmp_path: Path) -> None:
    archive = lines()
    spoiled = line(archive, "post", "p1")
    spoiled["topics"] = ["compostheap", "compostheap", "nothing"]
    where = number(archive, spoiled)
    assert faults(write(tmp_path, archive)) == [
        (where, "topics.1", "duplicate"),
        (where, "topics.2", "unknown_ref"),
    ]


def test_a_slug_is_what_its_tag_folds_to(tmp_path: Path) -> None:
    archive = lines()
    spoiled = line(archive, "topic", "runnerbeans")
    spoiled["slug"] = "Runner-Beans"
    line(archive, "membership", "")["topic"] = "compostheap"
    found = faults(write(tmp_path, archive))
    assert (number(archive, spoiled), "slug", "slug") in found


def test_an_answer_stands_under_the_same_post(tmp_path: Path) -> None:
    archive = lines()
    spoiled = line(archive, "comment", "c2")
    spoiled["post"] = "p2"
    assert faults(write(tmp_path, archive)) == [(number(archive, spoiled), "parent", "other_post")]


def test_comments_that_answer_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    archive = lines()
    line(archive, "comment", "c1")["parent"] = "c2"
    found = faults(write(tmp_path, archive))
    assert [code for _, _, code in found] == ["loop", "loop"]


def test_every_fault_of_every_line_is_told_and_none_twice(tmp_path: Path) -> None:
    archive = lines()
    line(archive, "member", "a")["handle"] = 7  # its ref still stands for those who name it
    line(archive, "post", "p2")["body"] = ""
    line(archive, "reaction")["kind"] = "thumb"
    assert [code for _, _, code in faults(write(tmp_path, archive))] == ["type", "too_short", "unknown_value"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", (1, "type", "no_archive")),
        (b"not json\n", (1, "", "unparsable")),
        (b'{"type":"archive","version":1,"name":"x"}\n[1]\n', (2, "type", "type")),
        (b'{"type":"archive","version":1,"name":"x"}\n{"type":"poem"}\n', (2, "type", "type")),
        (
            b'{"type":"archive","version":1,"name":"x"}\n{"type":"archive","version":1,"name":"y"}\n',
            (2, "type", "duplicate"),
        ),
        (b'{"type":"archive","version":1,"name":"\xff"}\n', (1, "", "unparsable")),
        (b'{"type":"archive","version":1,"name":"\\ud800"}\n', (1, "", "unparsable")),
        (b'{"type":"archive","version":1,"name":"x"}\n' + b"[" * 100_000 + b"\n", (2, "type", "type")),
        (b'{"type":"archive","version":1,"name":"x"}\n' + b" " * 2_000_000, (2, "", "too_long")),
        (b'{"type":"member","ref":"a","handle":"abc","display_name":"A"}\n', (1, "type", "no_archive")),
    ],
)
def test_what_is_no_archive_is_answered(raw: bytes, expected: tuple[int, str, str], tmp_path: Path) -> None:
    path = tmp_path / "archive.jsonl"
    path.write_bytes(raw)
    assert faults(path) == [expected]


def test_blank_lines_and_a_missing_last_break_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "archive.jsonl"
    path.write_bytes(
        b'{"type":"archive","version":1,"name":"x"}\n\n{"type":"member","ref":"a","handle":"abc","display_name":"A"}'
    )
    contents, found = read(path, reaction_kinds=KINDS)
    assert found == []
    assert contents.name == "x"
