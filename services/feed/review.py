"""The review: stories that wait, sent back with a note or published.

Publishing is the one moment at which a story can be seen by others: its post, its counts and its events are made in one
transaction, in the shape in which any post has them.
"""

from datetime import UTC, datetime, timedelta

import asyncpg

from services.feed import rows, topics, words
from services.feed.paging import LongestWaiting, Page, cursor
from services.feed.posts import Read, hot
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.stories import Stories
from services.feed.story import Found, find, page_of
from services.feed.story_steps import hold_for_review, move, record, tell_author
from services.feed.telling import tell_one
from shared import events
from shared.ids import id_time, new_id
from shared.postgres import Connection, Pool, acquire, retrying, transaction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Review:
    """What moderators do with stories."""

    def __init__(self, pool: Pool, stories: Stories) -> None:
        self._pool = pool
        self._stories = stories

    async def waiting(self, after: LongestWaiting | None, limit: int) -> Page:
        """What is in review, who waited longest first."""
        at = _EPOCH + timedelta(milliseconds=after.at if after else 0)

        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = await QUERIES.stories_in_review(
                    connection, at=at, after=after.id if after else 0, page=limit + 1
                )
                return found

        found = await retrying(attempt)
        return page_of(found, limit, _following)

    async def send_back(self, story_id: int, moderator: int, version: int, note: str) -> Read:
        """Its author may change it, and reads why. Raises NotFound, Stale, WrongState."""

        async def attempt() -> Found:
            async with transaction(self._pool) as connection:
                story = await hold_for_review(connection, story_id, moderator, version)
                await move(connection, story, "returned", "returned", moderator, note=note)
                return await find(connection, story["id"])

        return await self._stories.shown(await retrying(attempt))

    async def publish(self, story_id: int, moderator: int, version: int) -> Read:
        """It is a post, counted in its topics and told. Raises NotFound, Stale, WrongState."""

        async def attempt() -> Found:
            async with transaction(self._pool) as connection:
                story = await hold_for_review(connection, story_id, moderator, version)
                await _publish(connection, story, moderator)
                return await find(connection, story["id"])

        return await self._stories.shown(await retrying(attempt))


async def _publish(connection: Connection, story: asyncpg.Record, moderator: int) -> None:
    """The post with its rows, its counts and its events. Topics are locked before the post is there."""
    found = await words.find("story", story["body"])
    places = words.places(story["topics"], found)
    await topics.make_missing(connection, {slug: place.tag for slug, place in places.items()})
    await QUERIES.lock_topics(connection, slugs=sorted(places))
    post_id = new_id()
    await QUERIES.insert_post(
        connection,
        id=post_id,
        author_id=story["author_id"],
        kind="story",
        title=story["title"],
        body=story["body"],
        entities=rows.json_text(await words.resolve(connection, found)),
        content_warning=story["content_warning"],
        created_at=id_time(post_id),
        hot=hot(id_time(post_id), 0, 0),
    )
    await QUERIES.tag_post(
        connection,
        post_id=post_id,
        kind="story",
        slugs=list(places),
        asked=[place.asked for place in places.values()],
        in_text=[place.in_text for place in places.values()],
    )
    await QUERIES.hand_over_cover(connection, story_id=story["id"], post_id=post_id)
    moved = await QUERIES.publish_story(connection, story_id=story["id"], post_id=post_id, now=now())
    await record(connection, story, "published", moved["version"], moderator, post_id=post_id)
    await topics.move(connection, places, stories=1)
    post = rows.post(await QUERIES.read_post(connection, post_id=post_id, viewer=None))
    channels = events.post_channels(post.id, post.author.id, post.topics)
    await tell_one(connection, post.id, events.PostCreated(post=post), channels)
    await tell_author(connection, story, "published", moved["version"], moderator, post_id=post_id)


def _following(row: asyncpg.Record) -> str:
    since = (row["submitted_at"] - _EPOCH) // timedelta(milliseconds=1)
    return cursor(LongestWaiting(at=since, id=row["id"]))
