"""Reads what is to be known of an event, or of a post's events in order; in notify's own role, and only reading."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from services.notify.inbox.inbox import rows_of
from services.notify.live.testimony import Place
from services.notify.trace.answer import (
    Channel,
    Consumer,
    ForMember,
    Inbox,
    InStream,
    Letter,
    Log,
    Process,
    Sessions,
    Subject,
    Trace,
    Traced,
)
from services.notify.trace.asking import Asked, ask
from services.notify.trace.newer import newer_counts
from services.notify.trace.reasons import (
    CONSUMER,
    Known,
    meanings_of,
    not_a_recipient,
    notice_for,
    of_a_recipient,
    still_standing,
)
from services.notify.trace.sockets import crowds_of, sockets_of
from services.notify.trace.stream import Streams
from shared.errors import NotFound
from shared.eventlog.position import Position
from shared.ids import id_time
from shared.postgres import Connection, load_queries
from shared.visibility import may_subscribe, parse_channel

Letters: TypeAlias = dict[tuple[int, int], Letter]
"""Dead letters by log and position."""

asked = load_queries(Path(__file__).parent.parent / "sql" / "trace.sql")

MOST = 200
"""Events of a post that are shown at most, the newest."""
FIRST_POST = 1 << 40
"""Ids of posts hold their milliseconds since 1970 above 21 bits, events are counted from 1: no number is both."""


async def trace(connection: Connection, redis_url: str, number: int, handle: str | None) -> Trace:
    """What is known of the event, post or comment `number`; with `handle` also for that member.

    Raises NotFound, in words, for what was never there or is no longer held.
    """
    subject, rows, note = await (_about_post if number >= FIRST_POST else _about_event)(connection, number)
    member = await _member(connection, handle) if handle is not None else None
    consumers = await rows_of(asked.consumers(connection))
    heads = {row["log"]: row for row in await rows_of(asked.logs(connection))}
    parked = await _parked(connection, rows)
    seen = await _as_member(connection, member["id"], rows, consumers, parked) if member else {}
    newer = await newer_counts(connection, asked, rows)
    streams = Streams(redis_url)
    try:
        logs = {log: await _log(streams, head) for log, head in heads.items()}
        events = [
            _traced(
                row,
                await _in_stream(streams, row, logs[row["log"]]),
                consumers,
                parked=parked,
                newer=newer.get(row["id"]),
                member=seen.get(row["id"]),
            )
            for row in rows
        ]
    finally:
        await streams.close()
    events, sessions = await _with_sockets(connection, redis_url, rows, events, member)
    return Trace(
        post=subject,
        note=note,
        events=events,
        logs=list(logs.values()),
        consumers=[Consumer(**each, behind=max(0, heads[each["log"]]["head"] - each["seq"])) for each in consumers],
        member=member["handle"] if member else None,
        sessions=sessions,
    )


async def _with_sockets(
    connection: Connection, redis_url: str, rows: Sequence[Any], events: Sequence[Traced], member: Any
) -> tuple[list[Traced], Sessions]:
    """The events with what sockets had of them: the member's, or how many of everybody's."""
    numbered = [number for number, row in enumerate(rows) if row["seq"] is not None]
    if not numbered:
        return list(events), Sessions(away="nothing here has a position yet", heard=None, processes=[])
    places = [
        Place(log=rows[n]["log"], epoch=rows[n]["epoch"], seq=rows[n]["seq"], channels=list(rows[n]["channels"]))
        for n in numbered
    ]
    installation = await asked.installation(connection)
    answers = await ask(redis_url, installation, member["id"] if member else None, places)
    found = list(events)
    if answers.away is None:
        for place, number in enumerate(numbered):
            found[number] = _as_seen(events[number], answers, place, places[place])
    processes = [Process(process=t.process, since=t.since, sockets=t.sockets) for t in answers.testimonies]
    return found, Sessions(away=answers.away, heard=answers.heard, processes=processes)


def _as_seen(event: Traced, answers: Asked, number: int, place: Place) -> Traced:
    if event.member is None:
        return msgspec.structs.replace(event, crowds=crowds_of(answers.testimonies, number, place))
    assert event.numbered_at is not None  # noqa: S101 - it has a place
    newer = Position.parse(event.newer).seq if event.newer is not None else None
    sockets = sockets_of(answers.testimonies, place, event.numbered_at, newer=newer)
    return msgspec.structs.replace(event, member=msgspec.structs.replace(event.member, sockets=sockets))


async def _log(streams: Streams, head: Any) -> Log:
    first, last = await streams.ends(head["log"])
    return Log(**head, stream_first=first, stream_last=last, redis=streams.away)


async def _in_stream(streams: Streams, row: Any, log: Log) -> InStream:
    if row["seq"] is None:
        return "not numbered"
    # A stream that was refilled bears the present epoch, an old one that of the entry.
    positions = [f"{epoch}-{row['seq']}" for epoch in dict.fromkeys((row["epoch"], log.epoch))]
    return await streams.holds(log.log, positions, (log.stream_first, log.stream_last))


async def _as_member(
    connection: Connection, account: int, rows: Sequence[Any], consumers: Sequence[Any], parked: Letters
) -> dict[int, ForMember]:
    """By event id, what each is to one member."""
    inboxes = await _inboxes(connection, account, rows, consumers, parked)
    joined = {row["topic"] for row in await rows_of(asked.joined(connection, account=account))}
    return {row["id"]: ForMember(channels=_channels(row, account, joined), inbox=inboxes[row["id"]]) for row in rows}


async def _about_event(connection: Connection, number: int) -> tuple[None, list[Any], str | None]:
    rows = await rows_of(asked.event(connection, event=number))
    if rows:
        return None, rows, None
    kept = await asked.kept_ids(connection)
    if kept["newest"] is None or number > kept["newest"]:
        why = "nothing that high is committed: its transaction is still open, was rolled back, or never began."
    elif number < kept["oldest"]:
        why = f"the oldest event still held is {kept['oldest']}: its day was dropped (CHORUS_RETENTION_DAYS)."
    else:
        why = "its transaction was rolled back: ids are given out before the commit and are not used again."
    raise NotFound(f"There is no event {number}: {why}")


async def _about_post(connection: Connection, number: int) -> tuple[Subject, list[Any], str | None]:
    post_id = await asked.post_of_comment(connection, comment=number) or number
    post = await asked.post(connection, post=post_id)
    if post is None:
        raise NotFound(f"There is no post or comment {number}, and never was one that committed.")
    since = id_time(post_id) - timedelta(days=1)  # whoever made the id may have had a clock that was ahead
    needle = f'"post_id":"{post_id}"'.encode()
    rows = await rows_of(
        asked.events_about(connection, channel=f"post:{post_id}", needle=needle, since=since, most=MOST + 1)
    )
    notes = [f"{number} is a comment of this post."] if post_id != number else []
    if len(rows) > MOST:
        notes.append(f"Only its newest {MOST} events are shown.")
    if not any(row["type"] == "post.created" for row in rows[:MOST]) and len(rows) <= MOST:
        notes.append("Its first events are not held any more, or it was imported.")
    subject = Subject(post=str(post["id"]), author=post["handle"], deleted=post["deleted"])
    return subject, rows[:MOST][::-1], " ".join(notes) or None


async def _member(connection: Connection, handle: str) -> Any:
    found = await asked.member(connection, handle=handle.removeprefix("@").lower())
    if found is None:
        raise NotFound(f"There is no member with the handle {handle}.")
    return found


async def _parked(connection: Connection, rows: Sequence[Any]) -> Letters:
    numbered = [row for row in rows if row["seq"] is not None]
    letters = await rows_of(
        asked.parked(connection, logs=[row["log"] for row in numbered], seqs=[row["seq"] for row in numbered])
    )
    return {(row["log"], row["seq"]): Letter(error=row["error"], parked_at=row["parked_at"]) for row in letters}


async def _inboxes(
    connection: Connection,
    account: int,
    rows: Sequence[Any],
    consumers: Sequence[Any],
    parked: Letters,
) -> dict[int, Inbox]:
    """By event id, what it did to the member's inbox."""
    meanings, authors = await meanings_of(connection, rows)
    notices = {id_: notice_for(account, meaning, authors) for id_, meaning in meanings.items()}
    given = [notice for notice in notices.values() if notice is not None]
    stands, members = await still_standing(connection, given)
    told = await rows_of(asked.told(connection, account=account, causes=[notice.cause for notice in given]))
    posts = sorted({notice.post_id for notice in given})
    known = Known(
        account=account,
        told={row["cause"]: row for row in told},
        jobs=await rows_of(asked.waiting(connection, account=account, posts=posts)),
        standing=stands,
        members=members,
    )
    place = {each["log"]: each["seq"] for each in consumers if each["name"] == CONSUMER}
    found: dict[int, Inbox] = {}
    for row in rows:
        letter = parked.get((row["log"], row["seq"]))
        notice = notices.get(row["id"])
        if row["id"] not in meanings:
            why = letter.error if letter else "its payload is not what its type says."
            found[row["id"]] = Inbox(told="dead letter", why=f"The notifier can't read it: {why}")
        elif notice is None:
            found[row["id"]] = not_a_recipient(row["type"], meanings[row["id"]], account)
        else:
            handled = row["seq"] is not None and row["seq"] <= place.get(row["log"], 0)
            error = letter.error if letter else None
            found[row["id"]] = of_a_recipient(notice, known, handled=handled, parked=error)
    return found


def _channels(row: Any, account: int, joined: Collection[str]) -> list[Channel]:
    found = []
    for name in row["channels"]:
        channel = parse_channel(name)
        may = channel is not None and may_subscribe(account, channel)
        home = channel is not None and channel.kind == "topic" and channel.name in joined
        found.append(Channel(channel=name, may=may, home=home))
    return found


def _traced(
    row: Any,
    stream: InStream,
    consumers: Sequence[Any],
    *,
    parked: Letters,
    newer: Position | None,
    member: ForMember | None,
) -> Traced:
    followers = [each for each in consumers if each["log"] == row["log"]]
    passed = [each["name"] for each in followers if row["seq"] is not None and each["seq"] >= row["seq"]]
    return Traced(
        event=str(row["id"]),
        type=row["type"],
        log=row["log"],
        appended_at=row["at"],
        numbered_at=row["numbered_at"],
        position=None if row["seq"] is None else f"{row['epoch']}-{row['seq']}",
        request=row["request_id"],
        channels=list(row["channels"]),
        stream=stream,
        passed=passed,
        waiting=[each["name"] for each in followers if each["name"] not in passed],
        newer=None if newer is None else str(newer),
        dead_letter=parked.get((row["log"], row["seq"])),
        member=member,
    )
