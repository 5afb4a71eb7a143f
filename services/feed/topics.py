"""Topics: their headers, who follows them, and how a tag that nobody used before becomes one."""

from collections.abc import Iterable

import asyncpg
import msgspec

from services.feed import rows
from services.feed.paging import MostFollowed, Page, cursor
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.telling import tell, tell_one
from services.feed.turns import Turns
from shared import events
from shared.errors import NotFound
from shared.eventlog.outbox import Draft
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.wire import AsOf, Topic, encode


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's header as its reader gets it, and the positions it holds for."""

    topic: Topic
    as_of: AsOf


class Topics:
    """Reads topics, and lets members join and leave them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turns = Turns()

    async def read(self, slug: str, viewer: int | None) -> Header:
        """One header. Raises NotFound."""

        async def attempt() -> Header:
            async with acquire(self._pool) as connection:
                return await _header(connection, slug, viewer)

        return await retrying(attempt)

    async def page(self, viewer: int | None, after: MostFollowed | None, limit: int) -> Page:
        """Topics, the most followed first."""

        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = await QUERIES.list_topics(
                    connection,
                    viewer=viewer,
                    people=after and after.people,
                    slug=after and after.slug,
                    page=limit + 1,
                )
                return found

        found = await retrying(attempt)
        shown = [row for row in found if row["slug"] is not None][:limit]
        last = shown[-1] if len(found) > limit else None
        return Page(
            items=[encode(_with_joined(row)) for row in shown],
            next=last and cursor(MostFollowed(people=last["people"], slug=last["slug"])),
            as_of=rows.as_of(found[0]),
        )

    async def join(self, slug: str, account_id: int) -> Header:
        """The member follows the topic; repeating it changes nothing and tells nobody. Raises NotFound."""

        async def attempt() -> Header:
            async with self._turns.at(slug), transaction(self._pool) as connection:
                await _hold(connection, slug)
                joined = await QUERIES.join_topic(connection, account_id=account_id, topic=slug, now=now())
                if joined is not None:
                    await _moved(connection, slug, account_id, joined=True)
                return await _header(connection, slug, account_id)

        return await retrying(attempt)

    async def leave(self, slug: str, account_id: int) -> None:
        """The member no longer follows the topic; repeating it changes nothing. Raises NotFound."""

        async def attempt() -> None:
            async with self._turns.at(slug), transaction(self._pool) as connection:
                await _hold(connection, slug)
                if await QUERIES.leave_topic(connection, account_id=account_id, topic=slug) is not None:
                    await _moved(connection, slug, account_id, joined=False)

        await retrying(attempt)


async def make_missing(connection: Connection, tags: dict[str, str]) -> None:
    """Every slug of `tags` (slug to its author's spelling) has a topic; those that exist stay as they are."""
    if not tags:
        return
    known = {row["slug"] for row in await QUERIES.known_topics(connection, slugs=list(tags))}
    missing = [slug for slug in tags if slug not in known]
    if missing:
        spelled = [tags[slug] for slug in missing]
        await QUERIES.make_topics(connection, slugs=missing, tags=spelled, now=now())
        await QUERIES.make_topic_counts(connection, slugs=missing)


async def move(
    connection: Connection, slugs: Iterable[str], *, people: int = 0, stories: int = 0, posts: int = 0
) -> None:
    """Adds to the counts of each topic and tells its channel the new header: held briefly, however many they are."""
    moved = list(slugs)
    if moved:
        found = await QUERIES.move_topics(connection, slugs=moved, people=people, stories=stories, posts=posts)
        headers = [rows.topic(row) for row in found]
        await tell(
            connection,
            [Draft(each.slug, events.TopicChanged(topic=each), events.topic_channels(each.slug)) for each in headers],
        )


async def _hold(connection: Connection, slug: str) -> None:
    """Members who join and leave at the same moment take turns, so that counts and events run in one order."""
    if not await QUERIES.lock_topics(connection, slugs=[slug]):
        raise NotFound("There is no such topic.")


async def _moved(connection: Connection, slug: str, account_id: int, *, joined: bool) -> None:
    await move(connection, [slug], people=1 if joined else -1)
    event = events.MembershipChanged(account_id=str(account_id), topic=slug, joined=joined)
    channels = events.inbox_channels(str(account_id))
    await tell_one(connection, str(account_id), event, channels)


async def _header(connection: Connection, slug: str, viewer: int | None) -> Header:
    row: asyncpg.Record | None = await QUERIES.read_topic(connection, slug=slug, viewer=viewer)
    if row is None:
        raise NotFound("There is no such topic.")
    return Header(topic=_with_joined(row), as_of=rows.as_of(row))


def _with_joined(row: asyncpg.Record) -> Topic:
    return msgspec.structs.replace(rows.topic(row), joined=row["joined"])
