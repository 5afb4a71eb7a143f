"""Posts: reading them, writing them, in one transaction each.

Creating one is a single statement where its topics exist and no photo is attached: everything that Postgres would
have to tell us first (id, time, answer, event) is made here. Changing one is in edits.py.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from services.feed import idempotency, media, rows, sessions, text, topics, words
from services.feed.idempotency import Answer, Key
from services.feed.markdown import Renderer
from services.feed.paging import Hottest, Keys, Newest, Page, cursor
from services.feed.queries import QUERIES
from services.feed.sessions import Member
from services.feed.telling import note
from services.feed.turns import Turns
from shared import events
from shared.errors import NotFound, NotSignedIn
from shared.faults import reached
from shared.ids import MAX_ID, id_time, new_id
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.telemetry import current_request
from shared.wire import AsOf, Counts, Post, encode

PostKind = Literal["post", "story"]

HOT_AMONG = 1000
"""Hot ranks a topic's newest posts: older ones have cooled, and ranking all of a large topic would read all of it."""
_HALF_DAY = 45_000
"""Seconds by which a post must be younger to stand as high as one with ten times its reactions."""

_KNOWN = 20_000
"""Topics remembered as existing at most, some 2 MB."""


class NewPost(msgspec.Struct, frozen=True, kw_only=True):
    """A post as its author gives it, checked. `topics` in any spelling; `media` are ids of the author's photos."""

    kind: PostKind
    title: str | None
    body: str
    topics: list[str]
    media: list[int]
    content_warning: str | None


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """One entity as its reader gets it, in JSON, and the positions it holds for."""

    body: bytes
    as_of: AsOf


def hot(created_at: datetime, reactions: int, comments: int) -> float:
    """How high a post stands among the hot ones: ten times the response is worth half a day."""
    return math.log10(1 + reactions + 2 * comments) + created_at.timestamp() / _HALF_DAY


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A story's words as HTML, sanitised; `version` is the post's that they are of."""

    post_id: str
    version: int
    html: str


class Posts:
    """Reads and makes posts."""

    def __init__(self, pool: Pool, renderer: Renderer) -> None:
        self._pool = pool
        self._renderer = renderer
        self._known: set[str] = set()
        self._turns = Turns()

    async def read(self, post_id: int, viewer: int | None) -> Read:
        """One post. Raises NotFound."""
        return _read(await self._found(post_id, viewer), viewer)

    async def rendered(self, post_id: int) -> Read:
        """A story's Markdown as sanitised HTML. Raises NotFound, also for a post that is no story."""
        row = await self._found(post_id, None)
        if row["kind"] != "story":
            raise NotFound("Only a story is written in Markdown.")
        html = await self._renderer.html(row["body"], rows.entities(row["entities"]))
        rendered = Rendered(post_id=str(post_id), version=row["version"], html=html)
        return Read(body=encode(rendered), as_of=_read(row, None).as_of)

    async def _found(self, post_id: int, viewer: int | None) -> asyncpg.Record:
        async def attempt() -> asyncpg.Record:
            async with acquire(self._pool) as connection:
                return await _row(connection, post_id, viewer)

        return await retrying(attempt)

    async def newest(
        self, topic: str, viewer: int | None, kind: PostKind | None, before: Newest | None, limit: int
    ) -> Page:
        """A topic's posts, newest first. Raises NotFound for a topic that is not there."""
        wanted = {"topic": topic, "viewer": viewer, "before": before.id if before else MAX_ID, "page": limit + 1}

        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = (
                    await QUERIES.newest_posts_of_kind(connection, kind=kind, **wanted)
                    if kind
                    else await QUERIES.newest_posts(connection, **wanted)
                )
                return found

        found = await retrying(attempt)
        return _page(found, viewer, limit, lambda row: Newest(id=row["id"]))

    async def hottest(
        self, topic: str, viewer: int | None, kind: PostKind | None, after: Hottest | None, limit: int
    ) -> Page:
        """The hottest of a topic's newest HOT_AMONG posts. Raises NotFound for a topic that is not there."""

        async def attempt() -> list[asyncpg.Record]:
            async with acquire(self._pool) as connection:
                found: list[asyncpg.Record] = await QUERIES.hottest_posts(
                    connection,
                    topic=topic,
                    kind=kind,
                    viewer=viewer,
                    hot=after.hot if after else math.inf,
                    before=after.id if after else MAX_ID,
                    newest=HOT_AMONG,
                    page=limit + 1,
                )
                return found

        found = await retrying(attempt)
        return _page(found, viewer, limit, lambda row: Hottest(hot=row["hot"], id=row["id"]))

    async def create(self, member: Member, new: NewPost, key: Key | None) -> Answer:
        """A new post and its answer, or the first answer of a request with this key.

        The member's session is checked by the statement that writes. Raises NotSignedIn, KeyReused, and Invalid for
        photos that can't be attached.
        """
        found = await words.find(new.kind, new.body)
        places = words.places(new.topics, found)
        busiest = next(iter(places), member.id)  # the first topic, as a rule: its counts are one row

        async def attempt() -> Answer:
            # A topic that is made, or a photo that is attached, must go when the rest does.
            if new.media or not await self._all_known(places):
                async with self._turns.at(busiest), transaction(self._pool) as connection:
                    await topics.make_missing(connection, {slug: place.tag for slug, place in places.items()})
                    return await _insert(connection, member, new, found, places, key)
            async with self._turns.at(busiest), acquire(self._pool) as connection:
                return await _insert(connection, member, new, found, places, key)

        return await retrying(lambda: idempotency.answered(self._pool, member.id, key, attempt))

    async def _all_known(self, places: dict[str, words.Place]) -> bool:
        """Whether every topic exists. Topics never go, so what was seen once need not be asked again."""
        unknown = [slug for slug in places if slug not in self._known]
        if unknown:
            async with acquire(self._pool) as connection:
                found = await QUERIES.known_topics(connection, slugs=unknown)
            if len(self._known) > _KNOWN:
                self._known.clear()
            self._known.update(row["slug"] for row in found)
        return all(slug in self._known for slug in places)


async def read_for(connection: Connection, post_id: int, viewer: int | None) -> Read:
    """A post as `viewer` sees it now. Raises NotFound."""
    return _read(await _row(connection, post_id, viewer), viewer)


async def _row(connection: Connection, post_id: int, viewer: int | None) -> asyncpg.Record:
    row: asyncpg.Record | None = await QUERIES.read_post(connection, post_id=post_id, viewer=viewer)
    if row is None:
        raise NotFound("There is no such post.")
    return row


def _read(row: asyncpg.Record, viewer: int | None) -> Read:
    return Read(body=rows.with_mine(rows.post(row), viewer, row["mine"]), as_of=rows.as_of(row))


async def _insert(
    connection: Connection,
    member: Member,
    new: NewPost,
    found: list[text.Entity],
    places: dict[str, words.Place],
    key: Key | None,
) -> Answer:
    """The post's rows and events; its topics exist. Raises idempotency.Used, and NotSignedIn for an ended session."""
    post_id = new_id()
    # Photos refer to their post, so those checked here are attached when it is there.
    attached = await media.lock(connection, new.media, member.id) if new.media else []
    post = Post(
        id=str(post_id),
        kind=new.kind,
        author=member.author,
        title=new.title,
        body=new.body,
        entities=await words.resolve(connection, found),
        topics=list(places),
        media=attached,
        content_warning=new.content_warning,
        counts=Counts(reactions={}, reaction_total=0, comments=0, version=0),
        version=1,
        created_at=id_time(post_id),
        edited_at=None,
    )
    answer = rows.with_mine(post, member.id, None)
    channels = events.post_channels(post.id, member.author.id, post.topics)
    await reached("feed:committing")
    made = await QUERIES.create_post(
        connection,
        id=post_id,
        author_id=member.id,
        session_id=member.session_id,
        kind=post.kind,
        title=post.title,
        body=post.body,
        entities=rows.json_text(post.entities),
        content_warning=post.content_warning,
        created_at=post.created_at,
        hot=hot(post.created_at, 0, 0),
        slugs=post.topics,
        asked=[place.asked for place in places.values()],
        in_text=[place.in_text for place in places.values()],
        key=key and key.key,
        digest=key and key.digest,
        answer=answer if key else None,
        channels=channels,
        payload=events.encode_payload(events.PostCreated(post=post)),
        request_id=current_request(),
    )
    if made is None:
        if key is None or not await sessions.stands(connection, member):
            raise NotSignedIn("The session has ended.")
        raise idempotency.Used
    note(channels)
    if new.media:
        await QUERIES.attach_media(connection, post_id=post_id, ids=new.media)
    return Answer(status=201, body=answer, as_of=rows.as_of(made))


def _page(found: list[asyncpg.Record], viewer: int | None, limit: int, keys: Callable[[asyncpg.Record], Keys]) -> Page:
    if not found[0]["topic_exists"]:
        raise NotFound("There is no such topic.")
    shown = [row for row in found if row["id"] is not None][:limit]
    return Page(
        items=[rows.with_mine(rows.post(row), viewer, row["mine"]) for row in shown],
        next=cursor(keys(shown[-1])) if len(found) > limit else None,
        as_of=rows.as_of(found[0]),
    )
