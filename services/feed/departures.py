"""Leaving for good. At once: the name, the password, the address, every session. Then, page by page: what they did.

Words are removed or kept, as whoever leaves decides. Others' words are never lost: a post that somebody answered stays,
empty, above the answers; a comment's place in its thread stays. Each page is made of the rooms' own transactions, and
what is done shows in the rows themselves, so that a death in between costs nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from services.feed import sessions
from services.feed.accounts import Accounts, not_the_password
from services.feed.comments import Comments
from services.feed.edits import Edits
from services.feed.granting import give_up_role
from services.feed.queries import QUERIES
from services.feed.reactions import Reactions
from services.feed.rows import now
from services.feed.topics import Topics
from shared.errors import Forbidden, NotFound
from shared.postgres import POSTGRES_AWAY, Pool, acquire, retrying, transaction
from shared.telemetry import get_logger

log = get_logger(__name__)

Words = Literal["remove", "keep"]

NAME = "Deleted member"
HELD = timedelta(days=180)
"""How long nobody else can take the handle: links and memories of it would lead to a stranger."""
SETTLED = timedelta(seconds=60)
"""After this no request that began before the departure is still writing: Postgres ends them within 25 s."""
PAGE = 50
_ENTRIES = 20_000
"""Entries of the log looked through by one statement: 0.1 s."""
_LEASE = timedelta(seconds=60)
_EVERY = 2.0
LONGEST_WAIT = timedelta(hours=1)


def handle_of(account_id: int) -> str:
    """What a deleted member is called: no handle that anybody could choose, or mention."""
    return f"deleted-{account_id}"


class Departures:
    """Lets members leave, and does what is left to be done for those who left; any number of processes may."""

    def __init__(
        self,
        pool: Pool,
        accounts: Accounts,
        *,
        wake: Callable[[], None] = lambda: None,
        settled: timedelta = SETTLED,
        page: int = PAGE,
    ) -> None:
        """`wake` is called after each page, which may have appended events."""
        self._pool = pool
        self._accounts = accounts
        self._wake = wake
        self._settled = settled
        self._page = page
        self._topics, self._reactions = Topics(pool), Reactions(pool)
        self._comments, self._edits = Comments(pool), Edits(pool)

    async def leave(self, account_id: int, password: str, words: Words) -> None:
        """The member is gone, for everybody and at once.

        Raises Invalid when it is not their password, and LastAdmin.
        """
        version = await self._accounts.prove(account_id, password)

        async def attempt() -> None:
            at = now()
            async with transaction(self._pool) as connection:
                await give_up_role(connection, account_id)
                held = await QUERIES.lock_account(connection, account_id=account_id, password_version=version)
                if held is None:
                    raise not_the_password("password")
                await QUERIES.hold_handle(connection, handle=held["handle"], until=at + HELD)
                await QUERIES.leave(
                    connection, account_id=account_id, handle=handle_of(account_id), display_name=NAME, now=at
                )
                await QUERIES.drop_letters_of(connection, account_id=account_id)
                await QUERIES.drop_email(connection, account_id=account_id)
                await QUERIES.drop_answers_of(connection, account_id=account_id)
                await QUERIES.drop_stories_of(connection, account_id=account_id, now=at)
                await QUERIES.begin_departure(connection, account_id=account_id, words=words, now=at)
                await sessions.end_all(connection, account_id, but=None)

        await retrying(attempt)

    async def run(self) -> None:
        """Works until cancelled. What Postgres refuses is logged, and done the next time."""
        while True:
            try:
                while await self.work_page():
                    self._wake()
            except POSTGRES_AWAY as error:
                log.warning("departures_held", cause=repr(error))
            await asyncio.sleep(_EVERY)

    async def work_page(self) -> bool:
        """One page of one departure; False when none is due. One that fails is tried again later, ever more rarely."""
        at = now()
        async with acquire(self._pool) as connection:
            row = await QUERIES.take_departure(connection, now=at, until=at + _LEASE)
        if row is None:
            return False
        departure = _Departure(**dict(row))
        try:
            await self._go_on(departure)
        except Exception as error:
            wait = min(LONGEST_WAIT, timedelta(seconds=2 ** min(departure.attempts, 20)))
            log.error("departure_held", account=departure.account_id, attempts=departure.attempts, exc_info=error)
            async with acquire(self._pool) as connection:
                await QUERIES.postpone_departure(
                    connection, account_id=departure.account_id, due_at=now() + wait, error=type(error).__name__
                )
        return True

    async def _go_on(self, departure: "_Departure") -> None:
        steps = [self._leave_topics, self._remove_words if departure.words == "remove" else self._rename]
        for step in steps:
            if (after := await step(departure)) is not None:
                await self._advance(after, now())
                return
        settled = departure.asked_at + self._settled
        if now() < settled:
            await self._advance(departure, settled)
        elif departure.words == "remove" and (after := await self._redact(departure)) is not None:
            await self._advance(after, now())
        else:
            async with transaction(self._pool) as connection:
                # One more look: a draft, or the answer to a request, may have been on its way when they left.
                await QUERIES.drop_stories_of(connection, account_id=departure.account_id, now=now())
                await QUERIES.drop_answers_of(connection, account_id=departure.account_id)
                await QUERIES.finish_departure(connection, account_id=departure.account_id)
            log.info("departure_done", account=departure.account_id)

    async def _advance(self, departure: "_Departure", due_at: datetime) -> None:
        async with acquire(self._pool) as connection:
            await QUERIES.advance_departure(
                connection,
                account_id=departure.account_id,
                post_after=departure.post_after,
                comment_after=departure.comment_after,
                log_after=departure.log_after,
                due_at=due_at,
            )

    async def _leave_topics(self, departure: "_Departure") -> "_Departure | None":
        joined = await self._page_of("topics_joined", departure)
        for slug in joined:
            await _unless_gone(self._topics.leave(slug, departure.account_id))
        return departure if joined else None

    async def _remove_words(self, departure: "_Departure") -> "_Departure | None":
        """One page of what they left behind, of whatever kind is first; None when there is no more."""
        who = departure.account_id
        sweeps: list[tuple[str, dict[str, int], Callable[[int], Awaitable[object]]]] = [
            ("posts_reacted_to", {}, lambda post: self._reactions.to_post(post, who, None)),
            ("comments_reacted_to", {}, lambda comment: self._reactions.to_comment(comment, who, None)),
            ("comments_written", {"after": 0}, lambda comment: self._comments.delete(comment, who)),
            ("posts_with_words", {}, lambda post: self._edits.withdraw(post, who)),
        ]
        for query, more, remove in sweeps:
            if found := await self._page_of(query, departure, **more):
                for each in found:
                    await _unless_gone(remove(each))
                return departure
        async with transaction(self._pool) as connection:
            await QUERIES.scrub_comments(connection, account_id=who, now=now())
            await QUERIES.scrub_notes(connection, account_id=who)
            await QUERIES.drop_unattached_media(connection, account_id=who, now=now())
        return None

    async def _rename(self, departure: "_Departure") -> "_Departure | None":
        """One page of posts or comments whose words stay is told anew, with the name that nobody bears."""
        if found := await self._page_of("posts_written", departure, after=departure.post_after):
            for post in found:
                await _unless_gone(self._edits.tell_again(post))
            return msgspec.structs.replace(departure, post_after=found[-1])
        if found := await self._page_of("comments_written", departure, after=departure.comment_after):
            for comment in found:
                await _unless_gone(self._comments.tell_again(comment))
            return msgspec.structs.replace(departure, comment_after=found[-1])
        return None

    async def _redact(self, departure: "_Departure") -> "_Departure | None":
        """What they wrote leaves one more stretch of the logs; None when all were looked through."""
        async with acquire(self._pool) as connection:
            logs = [row["log"] for row in await QUERIES.logs(connection)]
            after = dict(zip(logs, [*departure.log_after, *([0] * len(logs))], strict=False))
            for number in logs:
                reached = await QUERIES.redact_log(
                    connection,
                    log=number,
                    after=after[number],
                    entries=_ENTRIES,
                    channel=f"member:{departure.account_id}",
                    unless=f'"handle":"{handle_of(departure.account_id)}"'.encode(),
                )
                if reached is not None:
                    after[number] = reached
                    return msgspec.structs.replace(departure, log_after=[after[each] for each in logs])
        return None

    async def _page_of(self, query: str, departure: "_Departure", **more: int) -> list[Any]:
        """The first column of what a named query finds of theirs."""
        async with acquire(self._pool) as connection:
            found = await getattr(QUERIES, query)(connection, account_id=departure.account_id, page=self._page, **more)
        return [row[0] for row in found]


async def _unless_gone(doing: Awaitable[object]) -> None:
    """What somebody else took away meanwhile needs nothing more."""
    with contextlib.suppress(NotFound, Forbidden):
        await doing


class _Departure(msgspec.Struct, frozen=True, kw_only=True):
    """How far one is, as feed.departure says."""

    account_id: int
    words: Words
    asked_at: datetime
    post_after: int
    comment_after: int
    log_after: list[int]
    attempts: int
