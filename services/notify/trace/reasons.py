"""Why an event was, or was not, told to a member's inbox: the notifier's own rules, asked again afterwards.

What can have changed since (what stands, what was told) is read now and said as such; nothing is written.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from services.notify.inbox.inbox import queries, rows_of
from services.notify.inbox.recipients import HANDLED, Authors, Gone, Meaning, Notice, Reacted, meaning_of, notices_of
from services.notify.inbox.telling import members_of, standing
from services.notify.trace.answer import Inbox
from shared.postgres import Connection

CONSUMER = "notifier"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What was read beside the events, for one member."""

    account: int
    told: Mapping[str, Any]
    jobs: Sequence[Any]
    standing: Collection[Notice]
    members: Collection[int]


async def meanings_of(connection: Connection, rows: Sequence[Any]) -> tuple[dict[int, Meaning | None], Authors]:
    """By event id, what each means for inboxes (one that can't be read is left out); and the authors they concern."""
    meanings: dict[int, Meaning | None] = {}
    for row in rows:
        try:
            meanings[row["id"]] = meaning_of(row["type"], row["payload"], row["wire_at"])
        except (ValueError, RecursionError):
            continue
    found = [meaning for meaning in meanings.values() if meaning is not None]
    parents = {m.comment_id if isinstance(m, Reacted) else getattr(m, "parent", None) for m in found} - {None}
    posts = await rows_of(queries.post_authors(connection, ids=sorted({m.post_id for m in found})))
    comments = await rows_of(queries.comment_authors(connection, ids=sorted(each for each in parents if each)))
    return meanings, Authors(
        posts={row["id"]: row["author_id"] for row in posts},
        comments={row["id"]: row["author_id"] for row in comments},
    )


async def still_standing(connection: Connection, notices: Sequence[Notice]) -> tuple[set[Notice], set[int]]:
    """Those whose cause the feed still shows, and who of those named is a member."""
    return await standing(connection, notices), set(await members_of(connection, notices))


def notice_for(account: int, meaning: Meaning | None, authors: Authors) -> Notice | None:
    """What the rules would tell this member of it; None: nothing."""
    if meaning is None:
        return None
    return next((notice for notice in notices_of(meaning, authors) if notice.recipient == account), None)


def not_a_recipient(kind: str, meaning: Meaning | None, account: int) -> Inbox:
    """Why an event tells this member nothing by the rules alone."""
    if kind not in HANDLED:
        return Inbox(told="tells no inbox", why=f"Events of type {kind} tell no inbox anything.")
    if meaning is None:
        return Inbox(told="tells no inbox", why="A new post tells only those whom it mentions, and it mentions nobody.")
    if isinstance(meaning, Gone):
        return Inbox(told="takes away", why="It takes away what inboxes held about this; it tells nothing.")
    if meaning.actor == account:
        return Inbox(told="own action", why="It is their own doing: nobody is told of that.")
    return Inbox(told="not concerned", why="They wrote neither what it answers or reacts to, nor are mentioned in it.")


def of_a_recipient(notice: Notice, known: Known, *, handled: bool, parked: str | None) -> Inbox:
    """What became of a notice that the rules give to the member."""
    line = known.told.get(notice.cause)
    if line is not None:
        same = line["created_at"] == notice.at
        when = f"{line['created_at']:%Y-%m-%d %H:%M:%S}Z"
        why = "A line of their inbox tells it." if same else f"They were told of this before, by what happened {when}."
        return Inbox(
            told="told" if same else "told before", why=why, line=str(line["id"]), kind=line["kind"], read=line["read"]
        )
    if parked is not None:
        return Inbox(told="dead letter", why=f"The notifier could not handle it: {parked}")
    if not handled:
        return Inbox(told="not handled yet", why="The notifier has not come to it.")
    for job in known.jobs:
        if (job["post_id"], job["comment_id"], job["kind"]) == (notice.post_id, notice.comment_id, notice.kind):
            return Inbox(told="waits in a job", why=_job(job))
    if notice not in known.standing:
        what = "reaction was withdrawn, or what it is on was" if notice.kind == "reaction" else "post or comment was"
        return Inbox(told="gone", why=f"The {what} deleted since: what is gone is not told, and its line goes too.")
    if not {notice.actor, notice.recipient} <= set(known.members):
        return Inbox(told="gone", why="Who did it is no member any more.")
    return Inbox(
        told="unexplained",
        why="The notifier passed it, it stands, and there is no line: report this with the event's id.",
    )


def _job(job: Any) -> str:
    failed = f"; its last try failed: {job['error']}" if job["error"] else ""
    return f"It has many recipients and is written page by page: {job['done']} of {job['recipients']} so far{failed}."
