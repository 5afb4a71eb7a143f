"""Writes a plan: everything in the caller's transaction, a few statements for thousands of rows.

Tells nobody a notification and sends no event for a post: pages of the topics get their new header and one reset, pages
of posts and members that were here before one reset too.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from services.feed import rows as feed_rows
from services.feed.accounts import ids_by_handle
from services.feed.archive.photos import Photo
from services.feed.archive.plan import Plan
from services.feed.archive.reading import Report
from services.feed.archive.records import Member
from services.feed.archive.rows import Rows, mentioned
from services.feed.posts import hot
from services.feed.queries import QUERIES
from shared.eventlog.outbox import Draft, append_many
from shared.events import TopicChanged, TopicReloaded, topic_channels
from shared.postgres import Connection

_ROWS = 2_000
"""Rows a statement: enough to make its round trip not matter, few enough for memory and for the progress bar."""
_CHANNELS = 200
"""Channels of one event at most."""


async def load(connection: Connection, plan: Plan, photos: dict[str, Photo], now: datetime, report: Report) -> None:
    """Everything that is new in `plan` is written, counted and told; nothing at all when nothing is.

    Locks in everybody's order: accounts, topics by slug, posts, comments. The photos are in storage already.
    """
    if not any(True for _ in plan.everything_new()):
        return
    handles = await ids_by_handle(connection, sorted(mentioned(plan)))
    handles |= {member.handle: plan.ids["member", member.ref] for _, member in plan.new(Member)}
    loading = _Loading(connection, Rows(plan, photos, handles, now), plan.contents.name, now, report)
    await loading.run()


class _Loading:
    def __init__(self, connection: Connection, rows: Rows, archive: str, now: datetime, report: Report) -> None:
        self._connection = connection
        self._rows = rows
        self._archive = archive
        self._now = now
        self._report = report
        self._done = 0
        self._people: dict[str, int] = {}

    async def run(self) -> None:
        rows = self._rows
        await self._write(QUERIES.load_accounts, "ids handles names times", rows.accounts())
        await self._make_topics()
        touched = sorted(rows.touched_topics())
        await QUERIES.lock_topics(self._connection, slugs=touched)
        posts, comments = rows.touched_posts(), rows.touched_comments()
        # Those that are new are nobody else's to lock yet, and have no counts until they are written.
        older = [r["post_id"] for r in await QUERIES.hold_counts_of_posts(self._connection, ids=sorted(posts))]
        await QUERIES.hold_counts_of_comments(self._connection, ids=sorted(comments))
        await self._write_members()
        await self._write_words()
        await self._recount(posts, comments)
        await self._tell(touched, older)

    async def _make_topics(self) -> None:
        slugs = sorted(self._rows.touched_topics())
        await self._write(QUERIES.load_topics, "slugs names tags descriptions", self._rows.topics(), now=self._now)
        spellings = self._rows.spellings
        await QUERIES.make_topics(self._connection, slugs=list(spellings), tags=list(spellings.values()), now=self._now)
        await QUERIES.make_topic_counts(self._connection, slugs=slugs)

    async def _write_members(self) -> None:
        for chunk in _chunks(self._rows.memberships()):
            accounts, topics = zip(*chunk, strict=True)
            joined = await QUERIES.load_memberships(self._connection, accounts=accounts, topics=topics, now=self._now)
            for row in joined:
                self._people[row["topic"]] = self._people.get(row["topic"], 0) + row["people"]
            self._progress(len(chunk))

    async def _write_words(self) -> None:
        rows = self._rows
        columns = "ids authors kinds titles bodies entities warnings times edits"
        await self._write(QUERIES.load_posts, columns, rows.posts)
        await self._write(QUERIES.load_post_topics, "topics posts kinds asked in_text", rows.taggings)
        columns = "ids owners posts places alts types widths heights digests times"
        await self._write(QUERIES.load_media, columns, rows.media)
        columns = "ids posts parents authors bodies entities times edits"
        # In one statement: an answer may stand before what it answers.
        await self._write(QUERIES.load_comments, columns, rows.comments, at_once=len(rows.comments))
        to_posts, to_comments = rows.reactions()
        await self._write(QUERIES.load_reactions, "posts accounts kinds times", to_posts)
        await self._write(QUERIES.load_comment_reactions, "comments accounts kinds times", to_comments)
        columns = "types refs ids places digests files"
        await self._write(QUERIES.load_refs, columns, list(rows.refs()), archive=self._archive)

    async def _recount(self, posts: set[int], comments: set[int]) -> None:
        recounted = await QUERIES.recount(self._connection, posts=sorted(posts), comments=sorted(comments))
        ranked = [
            *((post_id, hot(at, 0, 0)) for post_id, at in self._rows.new_posts() if post_id not in posts),
            *((r["post_id"], hot(r["created_at"], r["reaction_total"], r["comments"])) for r in recounted),
        ]
        await self._write(QUERIES.load_hot, "ids hot", ranked)

    async def _tell(self, touched: list[str], older_posts: list[int]) -> None:
        lanes = self._rows.lanes
        await QUERIES.add_to_topics(
            self._connection,
            slugs=touched,
            people=[self._people.get(slug, 0) for slug in touched],
            stories=[lanes[slug, "story"] for slug in touched],
            posts=[lanes[slug, "post"] for slug in touched],
        )
        drafts = []
        for row in await QUERIES.headers_with_counts(self._connection, slugs=touched):
            header = feed_rows.topic(row)
            own = topic_channels(header.slug)
            drafts.append(Draft(header.slug, TopicChanged(topic=header), own))
            drafts.append(Draft(header.slug, TopicReloaded(slug=header.slug), own))
        await append_many(self._connection, [*drafts, *await self._resets_elsewhere(set(touched), older_posts)])

    async def _resets_elsewhere(self, touched: set[str], older_posts: list[int]) -> list[Draft]:
        """One reset for the pages of posts and members that were here before, and of topics that show such a post."""
        topics = await QUERIES.topics_of_posts(self._connection, ids=older_posts)
        channels = [f"post:{post}" for post in older_posts]
        channels += [f"topic:{row['topic']}" for row in topics if row["topic"] not in touched]
        channels += [f"member:{author}" for author in sorted(self._rows.older_authors())]
        parts = (channels[start : start + _CHANNELS] for start in range(0, len(channels), _CHANNELS))
        return [Draft(part[0], TopicReloaded(slug=""), part) for part in parts]

    async def _write(
        self, statement: Any, names: str, rows: Sequence[Sequence[object]], *, at_once: int = _ROWS, **more: object
    ) -> None:
        """The rows by this statement, whose parameters are arrays, one a column."""
        for chunk in _chunks(rows, at_once):
            columns = dict(zip(names.split(), zip(*chunk, strict=True), strict=True))
            await statement(self._connection, **columns, **more)
            self._progress(len(chunk))

    def _progress(self, rows: int) -> None:
        self._done += rows
        self._report("Writing", self._done, 0)


def _chunks(rows: Iterable[Sequence[object]], size: int = _ROWS) -> Iterable[list[Sequence[object]]]:
    left = iter(rows)
    while chunk := list(islice(left, max(size, 1))):
        yield chunk
