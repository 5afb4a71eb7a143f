"""What an author does to a post that stands: change it, or take it away.

Topics come before posts in the order of locking, so the topics that may be moved are locked first, from what a glance
without locks shows; when the post turns out to have been moved meanwhile, the transaction starts again.
"""

from collections.abc import Iterable

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from services.feed import media, rows, text, topics, words
from services.feed.posts import PostKind, Read, read_for
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.telling import tell_one
from shared import events
from shared.errors import Fault, Forbidden, Invalid, NotFound, Stale
from shared.postgres import Connection, Pool, retrying, transaction
from shared.visibility import may_change

Places = dict[str, words.Place]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an author wants changed, checked; unset parts stay as they are. `version` is the one they read."""

    version: int
    title: str | UnsetType | None = UNSET
    body: str | UnsetType = UNSET
    topics: list[str] | UnsetType = UNSET
    media: list[int] | UnsetType = UNSET
    content_warning: str | UnsetType | None = UNSET


class Edits:
    """Changes and deletes posts."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def change(self, post_id: int, account_id: int, wanted: Change) -> Read:
        """The post as it now is: one version on, unless nothing changes.

        Raises NotFound, Forbidden, Stale, and Invalid for what can't be.
        """

        async def attempt() -> Read:
            async with transaction(self._pool) as connection:
                new = [] if wanted.topics is UNSET else [text.tag_slug(tag) or "" for tag in wanted.topics]
                if wanted.body is not UNSET:
                    new += [entity.slug for entity in text.entities(wanted.body) if isinstance(entity, text.Tag)]
                before = await _lock(connection, post_id, new)
                post = await _own(connection, post_id, account_id)
                if post["version"] != wanted.version:
                    raise Stale(f"It is at version {post['version']} now.")
                faults = [] if wanted.body is UNSET else words.check_length(post["kind"], wanted.body)
                if post["kind"] == "story" and wanted.title is None:
                    faults.append(Fault(field="title", code="required", detail="A story has a title."))
                if faults:
                    raise Invalid(errors=faults)
                return await _apply(connection, post, account_id, wanted, before)

        return await retrying(attempt)

    async def delete(self, post_id: int, account_id: int) -> None:
        """The post is gone, its words and photos with it. Raises NotFound, Forbidden."""

        async def attempt() -> None:
            async with transaction(self._pool) as connection:
                before = await _lock(connection, post_id, [])
                post = await _own(connection, post_id, account_id)
                await _check_unmoved(connection, post_id, before)
                await _delete(connection, post, before)

        await retrying(attempt)

    async def withdraw(self, post_id: int, account_id: int) -> None:
        """The author's words and photos are gone, and the post with them, unless somebody else's words stand below it:
        then it stays where it was, empty, and they can still be read. Raises NotFound, Forbidden.
        """

        async def attempt() -> None:
            async with transaction(self._pool) as connection:
                before = await _lock(connection, post_id, [])
                post = await _own(connection, post_id, account_id)
                await _check_unmoved(connection, post_id, before)
                if not await QUERIES.others_answered(connection, post_id=post_id, account_id=account_id):
                    await _delete(connection, post, before)
                    return
                await QUERIES.empty_post(connection, post_id=post_id, now=now())
                await QUERIES.keep_topics_of(connection, post_id=post_id)
                await QUERIES.remove_media(connection, post_id=post_id, kept=[], now=now())
                await _tell_edited(connection, post_id, before)

        await retrying(attempt)

    async def tell_again(self, post_id: int) -> None:
        """The post is told as it stands, one version on: its author is called otherwise. Raises NotFound."""

        async def attempt() -> None:
            async with transaction(self._pool) as connection:
                if await QUERIES.rename_on_post(connection, post_id=post_id) is None:
                    raise NotFound("There is no such post.")
                await _tell_edited(connection, post_id, await _places(connection, post_id))

        await retrying(attempt)


async def _delete(connection: Connection, post: asyncpg.Record, before: Places) -> None:
    post_id = post["id"]
    gone = await QUERIES.delete_post(connection, post_id=post_id, now=now())
    await QUERIES.untag_post(connection, post_id=post_id)
    await QUERIES.remove_media(connection, post_id=post_id, kept=[], now=now())
    await _move(connection, before, post["kind"], -1)
    event = events.PostDeleted(post_id=str(post_id), version=gone["version"])
    channels = events.post_channels(str(post_id), str(post["author_id"]), before)
    await tell_one(connection, str(post_id), event, channels)


async def _tell_edited(connection: Connection, post_id: int, slugs: Iterable[str]) -> None:
    row = await QUERIES.read_post(connection, post_id=post_id, viewer=None)
    event = events.PostEdited(post=rows.post(row))
    await tell_one(connection, str(post_id), event, events.post_channels(str(post_id), event.post.author.id, slugs))


async def _lock(connection: Connection, post_id: int, more: list[str]) -> Places:
    """Holds the counts of the post's topics and of `more`, where they exist; the post's as they were just before."""
    before = await _places(connection, post_id)
    await QUERIES.lock_topics(connection, slugs=sorted({*before, *more}))
    return before


async def _own(connection: Connection, post_id: int, account_id: int) -> asyncpg.Record:
    post: asyncpg.Record | None = await QUERIES.lock_post(connection, post_id=post_id)
    if post is None:
        raise NotFound("There is no such post.")
    if not may_change(account_id, post["author_id"]):
        raise Forbidden("Only its author may change a post.")
    return post


async def _check_unmoved(connection: Connection, post_id: int, before: Places) -> None:
    if await _places(connection, post_id) != before:
        raise asyncpg.SerializationError("the post moved before it was locked")


async def _places(connection: Connection, post_id: int) -> Places:
    found = await QUERIES.topics_of_post(connection, post_id=post_id)
    return {row["topic"]: words.Place(tag="", asked=row["asked"], in_text=row["in_text"]) for row in found}


async def _apply(connection: Connection, post: asyncpg.Record, account_id: int, wanted: Change, before: Places) -> Read:
    """The post as wanted. What is so already is written by nobody, and told to nobody."""
    post_id = post["id"]
    await _check_unmoved(connection, post_id, before)
    said = {name: getattr(wanted, name) for name in ("title", "body", "content_warning")}
    said = {name: post[name] if new is UNSET else new for name, new in said.items()}
    found = await words.find(post["kind"], said["body"])
    kept = sorted((place.asked, slug) for slug, place in before.items() if place.asked is not None)
    asked = [slug for _, slug in kept] if wanted.topics is UNSET else wanted.topics
    after = words.places(asked, found)
    carries = wanted.media is UNSET or await media.carried(connection, post_id) == wanted.media
    if carries and _stands(after) == _stands(before) and all(post[name] == new for name, new in said.items()):
        return await read_for(connection, post_id, account_id)
    await topics.make_missing(connection, {slug: place.tag for slug, place in after.items() if slug not in before})
    entities = rows.json_text(await words.resolve(connection, found))
    await QUERIES.update_post(connection, post_id=post_id, **said, entities=entities, now=now())
    if wanted.media is not UNSET:
        await media.replace(connection, post_id, wanted.media, account_id)
    if _stands(after) != _stands(before):
        await _retag(connection, post, before, after)
    if post["kind"] == "story":
        await _record(connection, post, account_id)
    await _tell_edited(connection, post_id, [*before, *after])
    return await read_for(connection, post_id, account_id)


async def _record(connection: Connection, post: asyncpg.Record, account_id: int) -> None:
    """Moderators read the story before: that it has changed since stands beside what they did."""
    await QUERIES.record_step(
        connection,
        story_id=None,
        post_id=post["id"],
        actor_id=account_id,
        step="edited",
        version=post["version"] + 1,
        note=None,
        at=now(),
    )


def _stands(places: Places) -> dict[str, tuple[int | None, int | None]]:
    return {slug: (place.asked, place.in_text) for slug, place in places.items()}


async def _retag(connection: Connection, post: asyncpg.Record, before: Places, after: Places) -> None:
    """The post stands in the topics of `after`; those that it left or came to are told."""
    await QUERIES.untag_post(connection, post_id=post["id"])
    await QUERIES.tag_post(
        connection,
        post_id=post["id"],
        kind=post["kind"],
        slugs=list(after),
        asked=[place.asked for place in after.values()],
        in_text=[place.in_text for place in after.values()],
    )
    await _move(connection, before.keys() - after.keys(), post["kind"], -1)
    await _move(connection, after.keys() - before.keys(), post["kind"], 1)


async def _move(connection: Connection, slugs: Iterable[str], kind: PostKind, by: int) -> None:
    await topics.move(connection, slugs, posts=by if kind == "post" else 0, stories=by if kind == "story" else 0)
