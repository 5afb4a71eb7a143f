"""The event log: every committed event has one number, numbers are dense, and for one entity versions only grow."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from services.audit.finding import Finding, Tally
from services.audit.reading import snapshot
from services.doctor.database import asked as doctor_asked
from services.progress import Report
from shared.eventlog.entries import read_rows
from shared.postgres import Connection, load_queries

asked = load_queries(Path(__file__).parent / "sql" / "log.sql")

POSITIONS = 100_000
"""Positions a page: an index scan of some tens of milliseconds."""
ENTRIES = 2_000
"""Entries a page, with their payloads: some hundred kilobytes, as a rule."""
ENTITIES = 200_000
"""Entities whose last version is remembered, those met latest: 40 MB. What comes late comes within seconds."""
MOST = 10_000
"""Rows of what is wrong that one statement gives."""


async def numbered(connection: Connection, report: Report) -> list[Finding]:
    """Every committed event has exactly one number or is of the newest window, and every number an event."""
    one = Tally(
        "events numbered",
        "event",
        means="A committed event without a number reaches nobody; a number without its event stops every reader there.",
        do="Look at the sequencer's log, and at who else writes to eventlog. `chorus backup`, and `chorus restore` of "
        "that file, number what was left out. A lost event stands in older backups alone.",
    )
    twice = Tally(
        "numbered twice",
        "event",
        means="Readers get the event twice, under two positions.",
        do="Versions make repeats harmless to pages. Look at who else than one sequencer writes eventlog.entry.",
    )
    days = [date.fromisoformat(row["day"]) async for row in doctor_asked.days(connection)]
    edges = sorted({each for day in days for each in (day, day + timedelta(days=1))})
    bounds = ["-infinity", *(f"{each}T00:00:00Z" for each in edges), "infinity"]
    for place, (since, until) in enumerate(pairwise(bounds)):
        report("events", place, len(bounds) - 1)
        async with snapshot(connection):
            between = {"since": since, "until": until}
            count = await asked.count_events(connection, **between)
            wrong = [row async for row in asked.unnumbered(connection, **between, most=MOST)]
            again = [row async for row in asked.numbered_twice(connection, **between, most=MOST)]
        one.add(
            count,
            (
                f"position {row['seq']} of log {row['log']} has no event {row['event_id']}"
                if row["lost"]
                else f"event {row['event_id']} of log {row['log']}"
                for row in wrong
            ),
        )
        twice.add(count, (f"event {row['event_id']} of log {row['log']}, first at {row['seq']}" for row in again))
    return [one.finding(), twice.finding()]


async def dense(connection: Connection, report: Report) -> list[Finding]:
    """From floor to head every position is there once, and epochs only grow."""
    tally = Tally(
        "positions dense",
        "position",
        means="Readers wait at a hole for what never comes, or take two events for one; the live side ends rather.",
        do="Nothing writes positions but the sequencer: look at who else did. Then restore a backup: that opens a new "
        "epoch, and pages fetch again.",
    )
    for log in await _heads(connection):
        after = log["floor"] - 1
        while True:
            async with snapshot(connection):
                rows = [row async for row in asked.positions(connection, log=log["log"], after=after, page=POSITIONS)]
                head = (await head_of(connection, log["log"]))["head"]
            looked, last = (rows[-1]["looked"], rows[-1]["seq"]) if rows else (0, after)
            tally.add(looked, (said for row in rows if (said := _misplaced(log["log"], row)) is not None))
            report("positions", last - log["floor"] + 1, head - log["floor"] + 1)
            after = last
            if looked < POSITIONS:
                break
        if last != head:
            what = f"{last + 1} to its head {head} are missing" if last < head else f"{last} lies past its head {head}"
            tally.add(0, [f"log {log['log']}: {what}"])
    return [tally.finding()]


def _misplaced(log: int, row: Any) -> str | None:
    seq, before = row["seq"], row["before"]
    if seq == before:
        return f"log {log}: {seq} is there twice"
    if seq != before + 1:
        return f"log {log}: {before + 1} to {seq - 1} are missing"
    if row["epoch_before"] is not None and row["epoch"] < row["epoch_before"]:
        return f"log {log}: {seq} is of epoch {row['epoch']}, after {row['epoch_before']}"
    return None


async def ordered(connection: Connection, report: Report) -> list[Finding]:
    """For each post, comment, topic and their counts, versions grow along the log."""
    tally = Tally(
        "versions in order",
        "event",
        means="For one entity a later position tells an older version: pages that fold the log drop the newer one's "
        "news, or show a count that was overtaken.",
        do="Pages take the higher version, so nothing stays wrong on them. Look for a writer that appends before it "
        "holds its entity's row (shared/eventlog/README.md, invariant 4).",
    )
    for log in await _heads(connection):
        after, seen = log["floor"] - 1, _Seen()
        while True:
            async with snapshot(connection):
                rows = await read_rows(connection, log["log"], after, log["head"], ENTRIES)
            if not rows:
                break
            tally.add(len(rows), (said for row in rows if (said := seen.out_of_order(log["log"], row)) is not None))
            after = rows[-1]["seq"]
            report("versions", after - log["floor"] + 1, log["head"] - log["floor"] + 1)
    return [tally.finding()]


class _Version(msgspec.Struct, frozen=True):
    version: int
    id: str = ""
    slug: str = ""


class _Told(msgspec.Struct, frozen=True):
    """Every place in which an event of ours says a version, and of what."""

    post: _Version | None = None
    comment: _Version | None = None
    topic: _Version | None = None
    counts: _Version | None = None
    post_id: str = ""
    comment_id: str | None = None
    version: int = 0


_told = msgspec.json.Decoder(_Told)


class _Seen:
    """The last version of each entity met, and where."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, int]] = {}

    def out_of_order(self, log: int, row: Any) -> str | None:
        """What is wrong with an entry, None: nothing, or it tells no version."""
        found = _version_of(row["type"], row["payload"])
        if found is None:
            return None
        entity, version = found
        seq: int = row["seq"]
        before = self._last.pop(entity, None)
        self._last[entity] = (version, seq)
        if len(self._last) > ENTITIES:
            del self._last[next(iter(self._last))]
        if before is None or before[0] < version:
            return None
        name = " ".join(entity)
        return f"log {log}: {name} has version {version} at {seq}, after {before[0]} at {before[1]}"


def _version_of(kind: str, payload: bytes) -> tuple[tuple[str, str], int] | None:
    if kind not in _KINDS:
        return None
    try:
        told = _told.decode(payload)
    except (ValueError, RecursionError):  # doctor tells of what can't be read: it is a dead letter
        return None
    if told.counts is not None:
        about = f"comment {told.comment_id}" if told.comment_id else f"post {told.post_id}"
        return ("counts of", about), told.counts.version
    for noun, found in (("post", told.post), ("comment", told.comment), ("topic", told.topic)):
        if found is not None:
            return (noun, found.id or found.slug), found.version
    return (("comment", told.comment_id) if told.comment_id else ("post", told.post_id)), told.version


_KINDS = frozenset(
    {
        *("post.created", "post.edited", "post.deleted", "comment.created", "comment.edited", "comment.deleted"),
        *("counts.changed", "topic.changed"),
    }
)


async def _heads(connection: Connection) -> list[dict[str, int]]:
    async with snapshot(connection):
        return [dict(row) async for row in asked.heads(connection)]


async def head_of(connection: Connection, log: int) -> dict[str, int]:
    """One log's row: epoch, head and floor, in the caller's snapshot."""
    return next(dict(row) for row in [each async for each in asked.heads(connection)] if row["log"] == log)


async def past_the_head(connection: Connection, _report: Report) -> list[Finding]:
    """No follower claims to be further than the log."""
    tally = Tally(
        "consumers",
        "cursor",
        means="It claims to have handled positions that were never given: what will get them is passed over.",
        do="Stop what follows, set its seq to the head (`update eventlog.consumer`, for the notifier also "
        "`notify.cursor`), and start it again.",
    )
    async with snapshot(connection):
        past = [row async for row in asked.consumers_past_the_head(connection)]
        tally.add(
            await asked.consumers(connection),
            (f"{row['name']} is at {row['seq']} of log {row['log']}, whose head is {row['head']}" for row in past),
        )
    return [tally.finding()]
