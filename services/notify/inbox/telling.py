"""What a batch of events does to inboxes, inside the caller's transaction.

Locks: posts, then inboxes by member id; then the feed is asked again what stands, for it may have changed since the
event. So a batch may be handled as a whole: what stands now is told, what does not is taken away, in any order.
"""

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

from services.notify.inbox.inbox import Inboxes, announce, queries, rows_of
from services.notify.inbox.mentions import Line, as_they_stand, mentioned_now, taken_out
from services.notify.inbox.recipients import (
    Authors,
    Gone,
    Meaning,
    Notice,
    Reacted,
    Reviewed,
    Written,
    cause_of,
    meaning_of,
    notices_of,
)
from shared import clock
from shared.faults import reached
from shared.ids import new_id
from shared.postgres import Connection
from shared.wire import Author

W = TypeVar("W", Written, Written | Reacted | Reviewed)


Ending: TypeAlias = dict[Line, str | None]
"""Lines to take away, each with the request that ended what it tells."""


class Happened(Protocol):
    """What is needed of an entry of the log, or of a parked one."""

    @property
    def seq(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def at(self) -> str: ...
    @property
    def payload(self) -> bytes: ...


async def requests_of(connection: Connection, log: int, entries: Sequence[Happened]) -> dict[int, str]:
    """By position, the request that caused each entry; without those that none caused, or that are held no more."""
    times = [datetime.fromisoformat(entry.at) for entry in entries]
    rows = queries.requests(
        connection,
        log=log,
        seqs=[entry.seq for entry in entries],
        since=min(times),
        until=max(times) + timedelta(milliseconds=1),  # on the wire a time ends with its milliseconds
    )
    return {row["seq"]: row["request_id"] for row in await rows_of(rows)}


async def tell(
    connection: Connection, entries: Iterable[Happened], requests: Mapping[int, str], *, page_above: int
) -> bool:
    """Brings inboxes up to `entries`; True when some of it was left to fan-out jobs. `requests`: see requests_of.

    More than `page_above` recipients of one cause become a job. Raises ValueError and msgspec's errors for an entry
    that is not what its type says, and what Postgres raises.
    """
    meanings = [
        meaning
        for entry in entries
        if (meaning := meaning_of(entry.type, entry.payload, entry.at, requests.get(entry.seq))) is not None
    ]
    if not meanings:
        return False
    await lock_posts(connection, {meaning.post_id for meaning in meanings})
    meanings = await as_they_stand(connection, meanings)
    gone, removals = await _find_gone(connection, meanings, page_above)
    notices, fanouts = await _find_notices(connection, meanings, page_above)
    unsaid, instead, withdrawals = await _find_taken_out(connection, meanings, page_above)
    gone, notices = gone | unsaid, notices + instead
    members = await members_of(connection, notices)
    notices = [notice for notice in notices if notice.recipient in members and notice.actor in members]
    inboxes = await Inboxes.lock(
        connection, {account for account, _ in gone} | {notice.recipient for notice in notices}
    )
    kept = await standing(connection, notices)
    gone |= await _withdrawn(connection, [notice for notice in notices if notice not in kept])
    told = await inboxes.remove(gone)
    told += await inboxes.add([notice for notice in notices if notice in kept], members)
    await inboxes.save()
    await reached("notifier:written")
    await announce(connection, told)
    await reached("notifier:announced")
    return removals + fanouts + withdrawals > 0


async def lock_posts(connection: Connection, post_ids: Iterable[int]) -> None:
    """Holds these posts' notifications until the transaction ends; ids that share a key share a lock."""
    await rows_of(queries.lock_posts(connection, keys=sorted({post_id % 2**31 for post_id in post_ids})))


async def members_of(connection: Connection, notices: Iterable[Notice]) -> dict[int, Author]:
    """Everybody in `notices` who is a member, as others see them."""
    ids = {member for notice in notices for member in (notice.recipient, notice.actor)}
    rows = await rows_of(queries.accounts(connection, ids=sorted(ids)))
    return {
        row["id"]: Author(id=str(row["id"]), handle=row["handle"], display_name=row["display_name"]) for row in rows
    }


async def standing(connection: Connection, notices: Sequence[Notice]) -> set[Notice]:
    """Those whose cause the feed still shows: post, comment, reaction, mention, and story that was sent back."""
    posts = await _ids(queries.standing_posts(connection, ids=sorted({n.post_id for n in notices})))
    comment_ids = {n.comment_id for n in notices if n.comment_id is not None}
    comments = await _ids(queries.standing_comments(connection, ids=sorted(comment_ids)))
    returned = sorted({n.post_id for n in notices if n.kind == "story_returned"})
    posts |= await _ids(queries.standing_stories(connection, ids=returned)) if returned else set()
    reactions = await _standing_reactions(connection, [n for n in notices if n.kind == "reaction"])
    mentions = await mentioned_now(connection, {(n.post_id, n.comment_id) for n in notices if n.kind == "mention"})
    return {
        n
        for n in notices
        if n.post_id in posts
        and (n.comment_id is None or n.comment_id in comments)
        and (n.kind != "reaction" or (n.comment_id is not None, n.comment_id or n.post_id, n.actor) in reactions)
        and (n.kind != "mention" or n.recipient in mentions[n.post_id, n.comment_id])
    }


async def _standing_reactions(connection: Connection, notices: Sequence[Notice]) -> set[tuple[bool, int, int]]:
    found: set[tuple[bool, int, int]] = set()
    for on_comment, query in ((False, queries.standing_post_reactions), (True, queries.standing_comment_reactions)):
        asked = {(n.comment_id or n.post_id, n.actor) for n in notices if (n.comment_id is not None) == on_comment}
        if asked:
            targets, actors = zip(*sorted(asked), strict=True)
            rows = await rows_of(query(connection, targets=targets, actors=actors))
            found |= {(on_comment, row["target"], row["actor"]) for row in rows}
    return found


async def _withdrawn(connection: Connection, notices: Iterable[Notice]) -> Ending:
    """Lines that told of a reaction which is there no more."""
    asked = {(notice.recipient, notice.cause): notice.request_id for notice in notices if notice.kind == "reaction"}
    if not asked:
        return {}
    accounts, causes = zip(*asked, strict=True)
    rows = await rows_of(queries.find_by_cause(connection, accounts=accounts, causes=causes))
    return {(row["account_id"], row["id"]): asked[row["account_id"], row["cause"]] for row in rows}


async def _find_gone(connection: Connection, meanings: Iterable[Meaning], page_above: int) -> tuple[Ending, int]:
    """Lines to take away now, and how many removals were left to jobs."""
    now: Ending = {}
    jobs = 0
    for gone in meanings:
        if not isinstance(gone, Gone):
            continue
        lines = await lines_about(connection, gone.post_id, gone.comment_id)
        accounts = {account for account, _ in lines}
        if len(accounts) <= page_above:
            now |= dict.fromkeys(lines, gone.request_id)
            continue
        await _add_job(connection, "removal", None, gone, accounts)
        jobs += 1
    return now, jobs


async def _find_taken_out(
    connection: Connection, meanings: Iterable[Meaning], page_above: int
) -> tuple[Ending, list[Notice], int]:
    """Lines to take away because an edit took their mention out, and how many jobs do the rest.

    Whoever the comment answers is told that instead: the mention had outranked it.
    """
    edits = {(m.post_id, m.comment_id): m for m in meanings if isinstance(m, Written) and not m.answers}
    found = await taken_out(connection, edits)
    authors = await _authors(connection, [edits[target] for target in found])
    now: Ending = {}
    instead: list[Notice] = []
    jobs = 0
    for target, lines in found.items():
        answers = notices_of(msgspec.structs.replace(_unmentioning(edits[target]), answers=True), authors)
        told = {account for account, _ in lines}
        instead += [notice for notice in answers if notice.recipient in told]
        crowd = told - {notice.recipient for notice in answers}
        if len(crowd) > page_above:
            await _add_job(connection, "withdrawal", None, edits[target], crowd)
            jobs += 1
            lines = [line for line in lines if line[0] not in crowd]
        now |= dict.fromkeys(lines, edits[target].request_id)
    return now, instead, jobs


async def lines_about(connection: Connection, post_id: int, comment_id: int | None) -> list[Line]:
    """Every line, as (member, id), about a whole post (`comment_id` None) or about one comment."""
    posts, comments = ([post_id], []) if comment_id is None else ([], [comment_id])
    rows = await rows_of(queries.find_by_target(connection, posts=posts, comments=comments))
    return [(row["account_id"], row["id"]) for row in rows]


async def _find_notices(
    connection: Connection, meanings: Iterable[Meaning], page_above: int
) -> tuple[list[Notice], int]:
    """Notices to write now, and how many large groups of recipients were left to jobs."""
    wanted = [meaning for meaning in meanings if not isinstance(meaning, Gone)]
    authors = await _authors(connection, [meaning for meaning in wanted if not isinstance(meaning, Reviewed)])
    now: list[Notice] = []
    jobs = 0
    for meaning in wanted:
        notices = notices_of(meaning, authors)
        if len(notices) <= page_above:
            now += notices
            continue
        # Only mentions can be many; the few who are answered, mentioned or not, are told at once.
        answered = {notice.recipient for notice in notices_of(_unmentioning(meaning), authors)}
        now += [notice for notice in notices if notice.recipient in answered]
        crowd = {notice.recipient for notice in notices} - answered
        await _add_job(connection, "mention", meaning.actor, meaning, crowd)
        jobs += 1
    return now, jobs


def _unmentioning(meaning: W) -> W:
    return msgspec.structs.replace(meaning, mentions=()) if isinstance(meaning, Written) else meaning


async def _authors(connection: Connection, wanted: Iterable[Written | Reacted]) -> Authors:
    posts: set[int] = set()
    comments: set[int] = set()
    for meaning in wanted:
        posts.add(meaning.post_id)
        target = meaning.parent if isinstance(meaning, Written) else meaning.comment_id
        comments |= {target} if target is not None else set()
    post_rows = await rows_of(queries.post_authors(connection, ids=sorted(posts)))
    comment_rows = await rows_of(queries.comment_authors(connection, ids=sorted(comments))) if comments else []
    return Authors(
        posts={row["id"]: row["author_id"] for row in post_rows},
        comments={row["id"]: row["author_id"] for row in comment_rows},
    )


async def _add_job(connection: Connection, kind: str, actor: int | None, what: Meaning, accounts: set[int]) -> None:
    await queries.add_job(
        connection,
        id=new_id(),
        kind=kind,
        actor=actor,
        post=what.post_id,
        comment=what.comment_id,
        cause=cause_of(what.post_id, what.comment_id),
        recipients=sorted(accounts),
        happened_at=what.at,
        request_id=what.request_id,
        now=clock.now(),
    )


async def _ids(found: AsyncIterable[Any]) -> set[int]:
    return {row["id"] for row in await rows_of(found)}
