"""Counts that newer ones may have replaced: of an entity's counts in one round, or one step of catching up, only the
last are sent."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from services.notify.live.fanout import COUNTS, counted
from shared.eventlog.position import Position
from shared.postgres import Connection

Entity: TypeAlias = tuple[str, str | None]
"""A post's id, and a comment's where it is that one's counts."""


async def newer_counts(connection: Connection, asked: Any, rows: Sequence[Any]) -> dict[int, Position]:
    """By event id, the position of the next counts of the same entity in its log.

    `rows` are a post's newest events, or any single one.
    """
    found: dict[int, Position] = {}
    latest: dict[tuple[int, Entity], Position] = {}
    for row in sorted(rows, key=lambda row: row["seq"] or 0, reverse=True):
        if row["type"] != COUNTS or row["seq"] is None or (entity := counted(row["payload"])) is None:
            continue
        of = (row["log"], entity)
        newer = latest.get(of) or (await _next(connection, asked, row, entity) if len(rows) == 1 else None)
        if newer is not None:
            found[row["id"]] = newer
        latest[of] = Position(row["epoch"], row["seq"])
    return found


async def _next(connection: Connection, asked: Any, row: Any, entity: Entity) -> Position | None:
    post, comment = entity
    begins = msgspec.json.encode({"post_id": post, "comment_id": comment})[:-1] + b","
    found = await asked.next_like(
        connection, log=row["log"], seq=row["seq"], at=row["at"], type=row["type"], begins=begins
    )
    return None if found is None else Position(*found)
