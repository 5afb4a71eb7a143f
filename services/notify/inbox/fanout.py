"""Fan-out jobs: causes with more recipients than one transaction should hold, written page by page.

A page and its progress are one transaction, which asks again whether the cause still stands. A page tells its members
by one `inbox.touched`: five hundred events of their own would be most of the log.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from services.notify.inbox.dead_letters import park_job, words_of
from services.notify.inbox.inbox import Inboxes, queries
from services.notify.inbox.mentions import Line, mentioned_now, taken_out
from services.notify.inbox.recipients import Notice
from services.notify.inbox.telling import lines_about, lock_posts, members_of, standing
from shared import clock
from shared.errors import Busy
from shared.eventlog import outbox
from shared.events import InboxTouched, inbox_channels
from shared.faults import reached
from shared.postgres import Connection, Pool, acquire, retrying, transaction
from shared.telemetry import get_logger

log = get_logger(__name__)

PAGE = 500
"""Recipients a transaction: inboxes stay locked for some tens of milliseconds, not for seconds."""
LONGEST_WAIT = 600.0
"""Seconds at most until a page that failed is tried again."""
ATTEMPTS = 10
"""Failures of one page, over some 17 minutes, after which its job is a dead letter: what is broken needs somebody."""


async def write_page(pool: Pool, *, size: int = PAGE) -> bool:
    """Writes one page of the oldest job that is due; False when there is none.

    A page that fails moves its job back by a growing delay, so that it holds up no other, and in the end to the dead
    letters. Raises Busy when Postgres was not to be had.
    """
    taken: list[Any] = []

    async def attempt() -> bool:
        taken.clear()
        async with transaction(pool) as connection:
            job = await queries.take_job(connection, now=clock.now())
            if job is None:
                return False
            taken.append(job)
            recipients = job["recipients"][job["done"] : job["done"] + size]
            stands = await _WRITERS.get(job["kind"], _tell_page)(connection, job, recipients)
            done = job["done"] + len(recipients)
            if stands and done < len(job["recipients"]):
                await queries.advance_job(connection, id=job["id"], done=done)
            else:
                await queries.finish_job(connection, id=job["id"])
            await reached("fanout:page_written")
        await reached("fanout:page_committed")
        return True

    try:
        return await retrying(attempt)
    except Busy:
        raise
    except Exception as error:
        if not taken:
            raise
        await _postpone(pool, taken[0], error)
        return True


async def _tell_page(connection: Connection, job: Any, recipients: list[int]) -> bool:
    """False when the cause stands no more, so that the rest of the job is void."""
    await lock_posts(connection, [job["post_id"]])
    target = (job["post_id"], job["comment_id"])
    present = (await mentioned_now(connection, [target]))[target]
    if not present:
        return False
    notices = [
        Notice(
            recipient=recipient,
            kind=job["kind"],
            actor=job["actor_id"],
            post_id=job["post_id"],
            comment_id=job["comment_id"],
            cause=job["cause"],
            at=job["happened_at"],
            request_id=job["request_id"],
        )
        for recipient in recipients
        if recipient in present
    ]
    members = await members_of(connection, notices)
    notices = [notice for notice in notices if notice.recipient in members and notice.actor in members]
    inboxes = await Inboxes.lock(connection, {notice.recipient for notice in notices})
    if notices and not await standing(connection, notices[:1]):
        return False
    told = await inboxes.add(notices, members)
    await inboxes.save()
    await _touch(connection, job, [account for account, _, _ in told])
    return True


async def _remove_page(connection: Connection, job: Any, recipients: list[int]) -> bool:
    await lock_posts(connection, [job["post_id"]])
    await _take_away(connection, job, recipients, await lines_about(connection, job["post_id"], job["comment_id"]))
    return True


async def _withdraw_page(connection: Connection, job: Any, recipients: list[int]) -> bool:
    await lock_posts(connection, [job["post_id"]])
    target = (job["post_id"], job["comment_id"])
    await _take_away(connection, job, recipients, (await taken_out(connection, [target])).get(target, []))
    return True


async def _take_away(connection: Connection, job: Any, recipients: list[int], lines: list[Line]) -> None:
    page = set(recipients)
    inboxes = await Inboxes.lock(connection, page)
    told = await inboxes.remove({line: job["request_id"] for line in lines if line[0] in page})
    await inboxes.save()
    await _touch(connection, job, [account for account, _, _ in told])


_WRITERS: dict[str, Callable[[Connection, Any, list[int]], Awaitable[bool]]] = {
    "removal": _remove_page,
    "withdrawal": _withdraw_page,
}


async def _touch(connection: Connection, job: Any, accounts: list[int]) -> None:
    if accounts:
        channels = [channel for account in accounts for channel in inbox_channels(str(account))]
        event = InboxTouched(kind=job["kind"])
        about = {"channels": channels, "request_id": job["request_id"]}
        await outbox.append(connection, key=str(job["post_id"]), event=event, **about)


async def _postpone(pool: Pool, job: Any, error: Exception) -> None:
    attempts = job["attempts"] + 1
    if attempts >= ATTEMPTS:
        await park_job(pool, job, error)
        return
    wait = min(LONGEST_WAIT, 2.0 ** min(job["attempts"], 10))
    about = {"job": str(job["id"]), "request_id": job["request_id"]}
    log.error("fanout_page_failed", **about, attempts=attempts, wait=wait, exc_info=error)
    async with acquire(pool) as connection:
        due_at = clock.now() + timedelta(seconds=wait)
        await queries.postpone_job(connection, id=job["id"], error=words_of(error), due_at=due_at)
