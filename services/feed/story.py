"""Stories as those who may see them get them: shapes, and rows read into them. What moves them: story_steps.py."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec

from services.feed import rows
from services.feed.paging import Page
from services.feed.queries import QUERIES
from services.feed.roles import State
from shared.errors import NotFound
from shared.postgres import Connection
from shared.wire import Author, Media, encode

Step = Literal["submitted", "withdrawn", "returned", "published", "edited"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A story in a list: without its words. `post_id` is the post that it became; null until then."""

    id: str
    post_id: str | None
    state: State
    author: Author
    title: str | None
    cover: Media | None
    length: int
    version: int
    created_at: datetime
    changed_at: datetime
    submitted_at: datetime | None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a story's way. `version` is the story's; of an edit, the post's.

    `note` is a moderator's; null when they left and took their words along.
    """

    step: Step
    by: Author
    version: int
    note: str | None
    at: datetime


class Story(Line, frozen=True, kw_only=True):
    """A story as those who may see it read it: as it was written, and as HTML that may stand on a page."""

    body: str
    html: str
    topics: list[str]
    content_warning: str | None
    steps: list[Done]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A story's rows, of one transaction."""

    row: asyncpg.Record
    steps: list[asyncpg.Record]

    def story(self, html: str) -> Story:
        """The story; `html` is its body rendered."""
        row = self.row
        return Story(
            **_line(row),
            body=row["body"],
            html=html,
            topics=row["topics"],
            content_warning=row["content_warning"],
            steps=[_done(step) for step in self.steps],
        )


async def find(connection: Connection, story_id: int) -> Found:
    """A story, also by its post's id, whoever may see it. Raises NotFound."""
    row = await QUERIES.read_story(connection, story_id=story_id)
    if row is None:
        raise NotFound("There is no such story.")
    steps = await QUERIES.steps_of_story(connection, story_id=row["id"], post_id=row["post_id"])
    return Found(row=row, steps=steps)


def page_of(found: list[asyncpg.Record], limit: int, following: Callable[[asyncpg.Record], str]) -> Page:
    """The rows of a list, one more than asked for, as a page; `following` makes the cursor of its last row."""
    shown = [row for row in found if row["id"] is not None][:limit]
    return Page(
        items=[encode(Line(**_line(row))) for row in shown],
        next=following(shown[-1]) if len(found) > limit else None,
        as_of=rows.as_of(found[0]),
    )


def _line(row: asyncpg.Record) -> dict[str, Any]:
    cover = None if row["cover"] is None else msgspec.json.decode(row["cover"])
    return {
        "id": str(row["id"]),
        "post_id": None if row["post_id"] is None else str(row["post_id"]),
        "state": row["state"],
        "author": rows.author(row),
        "title": row["title"],
        "cover": None if cover is None else rows.media(*cover),
        "length": len(row["body"]),
        "version": row["version"],
        "created_at": row["created_at"],
        "changed_at": row["changed_at"],
        "submitted_at": row["submitted_at"],
    }


def _done(row: asyncpg.Record) -> Done:
    by = Author(id=str(row["id"]), handle=row["handle"], display_name=row["display_name"])
    return Done(step=row["step"], by=by, version=row["version"], note=row["note"], at=row["at"])
