"""What every step of a story has in common: it is held, moved, recorded, and its author is told where it stands.

No event bears a word of a story that is not published: only what its author's own pages need to ask again.
"""

from datetime import datetime
from typing import Literal

import asyncpg

from services.feed.queries import QUERIES
from services.feed.roles import State, may_see_story
from services.feed.rows import now
from services.feed.story import Step
from services.feed.telling import tell_one
from shared import events
from shared.errors import Conflict, Forbidden, NotFound, Stale
from shared.postgres import Connection


class WrongState(Conflict):
    """A story in this state does not take that step."""

    code = "wrong_state"
    title = "The story is not at that point"
    remedy = "Fetch the story and look at its state; a published one is changed at /v1/posts."


async def hold_own(
    connection: Connection, story_id: int, author: int, version: int | None, *states: State
) -> asyncpg.Record:
    """The author's story, held, at this version and in one of these states.

    Raises NotFound, also for who may not see it; Forbidden for who may, and did not write it; Stale, WrongState.
    """
    story: asyncpg.Record | None = await QUERIES.lock_story(connection, story_id=story_id)
    if story is None:
        raise NotFound("There is no such story.")
    if story["author_id"] != author:
        role = (await QUERIES.role_of(connection, account_id=author))["role"]
        if not may_see_story(author, role, story["author_id"], story["state"]):
            raise NotFound("There is no such story.")
        raise Forbidden("Only its author may do that with a story.")
    return _at(story, version, states)


async def hold_for_review(connection: Connection, story_id: int, moderator: int, version: int) -> asyncpg.Record:
    """A story that waits, held, at this version. Raises NotFound, Stale, WrongState."""
    story: asyncpg.Record | None = await QUERIES.lock_story(connection, story_id=story_id)
    if story is None or (story["state"] == "draft" and story["author_id"] != moderator):
        raise NotFound("There is no such story.")
    return _at(story, version, ("review",))


def _at(story: asyncpg.Record, version: int | None, states: tuple[State, ...]) -> asyncpg.Record:
    if version is not None and story["version"] != version:
        raise Stale(f"It is at version {story['version']} now.")
    if story["state"] not in states:
        raise WrongState(f"It is in the state {story['state']!r}; this takes {' or '.join(map(repr, states))}.")
    return story


async def move(
    connection: Connection,
    story: asyncpg.Record,
    step: Step,
    state: State,
    actor: int,
    *,
    note: str | None = None,
    submitted_at: datetime | None = None,
) -> None:
    """The story is in another state; who brought it there is recorded, and its author is told."""
    moved = await QUERIES.move_story(
        connection, story_id=story["id"], state=state, submitted_at=submitted_at, now=now()
    )
    await record(connection, story, step, moved["version"], actor, note=note)
    await tell_author(connection, story, state, moved["version"], actor)


async def record(
    connection: Connection,
    story: asyncpg.Record,
    step: Step,
    version: int,
    actor: int,
    *,
    note: str | None = None,
    post_id: int | None = None,
) -> None:
    """Who did what with it, and what they said."""
    await QUERIES.record_step(
        connection,
        story_id=story["id"],
        post_id=post_id,
        actor_id=actor,
        step=step,
        version=version,
        note=note,
        at=now(),
    )


async def tell_author(
    connection: Connection,
    story: asyncpg.Record,
    state: State | Literal["deleted"],
    version: int,
    actor: int,
    *,
    post_id: int | None = None,
) -> None:
    """Its author's own channel learns where it stands, and not a word of it."""
    author = str(story["author_id"])
    event = events.StoryChanged(
        account_id=author,
        story_id=str(story["id"]),
        post_id=None if post_id is None else str(post_id),
        state=state,
        version=version,
        actor_id=str(actor),
    )
    await tell_one(connection, author, event, events.inbox_channels(author))
