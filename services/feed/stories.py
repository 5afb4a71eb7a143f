"""Stories on their way: written, changed and submitted by their authors.

They stand in a table of their own, so that nothing which reads posts can show one; publishing (review.py) makes the
post, with an id of that moment, and there the words are from then on. Who may do what: roles.py.
"""

from typing import Any

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from services.feed import idempotency, media, rows, text, words
from services.feed.idempotency import Answer, Key
from services.feed.markdown import STORY_LENGTH, Renderer
from services.feed.paging import Newest, Page, cursor
from services.feed.posts import Read
from services.feed.queries import QUERIES
from services.feed.roles import Role, may_see_story
from services.feed.rows import now
from services.feed.sessions import Member
from services.feed.story import Found, find, page_of
from services.feed.story_steps import hold_own, move, tell_author
from shared.errors import Fault, Invalid, NotFound
from shared.ids import MAX_ID, new_id
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.wire import encode


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What an author wants it to say, checked; unset parts stay as they are. A draft may lack what a story needs."""

    title: str | UnsetType | None = UNSET
    body: str | UnsetType = UNSET
    topics: list[str] | UnsetType = UNSET
    cover: int | UnsetType | None = UNSET
    content_warning: str | UnsetType | None = UNSET


class Stories:
    """Keeps stories from their first words to their publication."""

    def __init__(self, pool: Pool, renderer: Renderer) -> None:
        self._pool = pool
        self._renderer = renderer

    async def create(self, author: Member, new: Words, key: Key | None) -> Answer:
        """A draft and its answer, or the first answer of a request with this key. Raises KeyReused, Invalid."""
        said = _said(new, None)
        html = await self.preview(said["body"])

        async def attempt() -> Answer:
            async with transaction(self._pool) as connection:
                story_id, at = new_id(), now()
                await QUERIES.create_story(connection, id=story_id, author_id=author.id, now=at, **said)
                await _cover(connection, story_id, author.id, new)
                found = await find(connection, story_id)
                answer = Answer(status=201, body=encode(found.story(html)), as_of=rows.as_of(found.row))
                await idempotency.claim(connection, author.id, key, answer, at)
                return answer

        return await retrying(lambda: idempotency.answered(self._pool, author.id, key, attempt))

    async def read(self, story_id: int, viewer: int, role: Role) -> Read:
        """A story, also by its post's id. Raises NotFound, likewise for who may not see it."""

        async def attempt() -> Found:
            async with acquire(self._pool) as connection:
                found = await find(connection, story_id)
                if not may_see_story(viewer, role, found.row["author_id"], found.row["state"]):
                    raise NotFound("There is no such story.")
                return found

        return await self.shown(await retrying(attempt))

    async def own(self, author: int, before: Newest | None, limit: int) -> Page:
        """Somebody's own stories, newest first."""

        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = await QUERIES.stories_of(
                    connection, author_id=author, before=before.id if before else MAX_ID, page=limit + 1
                )
                return found

        found = await retrying(attempt)
        return page_of(found, limit, lambda row: cursor(Newest(id=row["id"])))

    async def change(self, story_id: int, author: int, version: int, wanted: Words) -> Read:
        """A draft, or one that came back, with these words. Raises NotFound, Forbidden, Stale, WrongState, Invalid."""

        async def attempt() -> Found:
            async with transaction(self._pool) as connection:
                story = await hold_own(connection, story_id, author, version, "draft", "returned")
                said = _said(wanted, story)
                covered = wanted.cover is UNSET or wanted.cover == story["cover"]
                if not covered or any(story[name] != value for name, value in said.items()):
                    await QUERIES.change_story(connection, story_id=story["id"], now=now(), **said)
                    await _cover(connection, story["id"], author, wanted)
                    await tell_author(connection, story, story["state"], story["version"] + 1, author)
                return await find(connection, story["id"])

        return await self.shown(await retrying(attempt))

    async def delete(self, story_id: int, author: int) -> None:
        """An unpublished story is gone, with its cover and what was said of it. Raises as `change` does."""

        async def attempt() -> None:
            async with transaction(self._pool) as connection:
                story = await hold_own(connection, story_id, author, None, "draft", "returned", "review")
                await QUERIES.drop_cover(connection, story_id=story["id"], kept=None, now=now())
                await QUERIES.delete_story(connection, story_id=story["id"])
                await tell_author(connection, story, "deleted", story["version"] + 1, author)

        await retrying(attempt)

    async def submit(self, story_id: int, author: int, version: int) -> Read:
        """It waits for a moderator. Raises as `change` does, and Invalid for what a story needs and this one lacks."""

        async def attempt() -> Found:
            async with transaction(self._pool) as connection:
                story = await hold_own(connection, story_id, author, version, "draft", "returned")
                _check_whole(story)
                await move(connection, story, "submitted", "review", author, submitted_at=now())
                return await find(connection, story["id"])

        return await self.shown(await retrying(attempt))

    async def withdraw(self, story_id: int, author: int, version: int) -> Read:
        """A draft again, its author's alone. Raises as `change` does."""

        async def attempt() -> Found:
            async with transaction(self._pool) as connection:
                story = await hold_own(connection, story_id, author, version, "review")
                await move(connection, story, "withdrawn", "draft", author)
                return await find(connection, story["id"])

        return await self.shown(await retrying(attempt))

    async def preview(self, body: str) -> str:
        """What `body` would look like: by the same parser and the same sanitiser."""
        found = await words.find("story", body)
        async with acquire(self._pool) as connection:
            resolved = await words.resolve(connection, found)
        return await self._renderer.html(body, resolved)

    async def shown(self, found: Found) -> Read:
        """As HTTP gives it. No connection is held while it is rendered."""
        html = await self.preview(found.row["body"])
        return Read(body=encode(found.story(html)), as_of=rows.as_of(found.row))


def _check_whole(story: asyncpg.Record) -> None:
    """Raises Invalid for everything that a draft may lack and a story may not."""
    faults = []
    if story["title"] is None:
        faults.append(Fault(field="title", code="required", detail="A story has a title."))
    faults += text.check_text(story["body"], field="body", maximum=STORY_LENGTH[1])
    if story["cover"] is not None and not story["alt"]:
        detail = "Say what the cover shows, for those who can't see it: send the photo again with `alt`."
        faults.append(Fault(field="cover", code="alt_required", detail=detail))
    if faults:
        raise Invalid(errors=faults)


def _said(wanted: Words, before: asyncpg.Record | None) -> dict[str, Any]:
    """The words as they are to be stored; topics as the author spells them, each once."""
    empty: dict[str, Any] = {"title": None, "body": "", "topics": [], "content_warning": None}
    held = empty if before is None else {name: before[name] for name in empty}
    said: dict[str, Any] = {name: held[name] if (new := getattr(wanted, name)) is UNSET else new for name in empty}
    return {**said, "topics": [place.tag for place in words.places(said["topics"], []).values()]}


async def _cover(connection: Connection, story_id: int, author: int, wanted: Words) -> None:
    if wanted.cover is UNSET:
        return
    if wanted.cover is not None:
        try:
            await media.lock(connection, [wanted.cover], author, story_id=story_id)
        except Invalid as error:
            renamed = [msgspec.structs.replace(fault, field="cover") for fault in error.errors]
            raise Invalid(errors=renamed) from None
    await QUERIES.drop_cover(connection, story_id=story_id, kept=wanted.cover, now=now())
    if wanted.cover is not None:
        await QUERIES.hold_cover(connection, story_id=story_id, media_id=wanted.cover)
