"""The postman: sends each letter of `feed_v1.letter` at least once, and marks it in notify's own schema.

A claim is a time until which others leave a letter alone, so no transaction waits for a mail server. Who dies between
the server's thanks and the mark sends it once more, under the same Message-ID: never lost, seldom twice.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from services.notify.delivery.carriers import WHOLE_TIMEOUT, Carrier, Postponed, Refused
from services.notify.delivery.writing import PAGES, Letter, compose
from shared import clock
from shared.faults import reached
from shared.links import LinkKind, sign_link
from shared.postgres import POSTGRES_AWAY, Pool, acquire, load_queries
from shared.telemetry import get_logger

log = get_logger(__name__)
queries: Any = load_queries(Path(__file__).parent.parent / "sql" / "letters.sql")

LETTERS = Counter("chorus_letters", "What became of attempts to send a letter.", ["kind", "outcome"])

POLL = 1.0
"""Seconds until a new letter is found: one look at two small tables."""
LEASE = timedelta(seconds=2 * WHOLE_TIMEOUT)
AT_ONCE = 4
"""Letters on their way at the same time, so that one slow answer doesn't hold up all."""
FIRST_WAIT, LONGEST_WAIT = 10.0, 1800.0
"""Seconds until the second attempt, and between two at most; a letter is tried for as long as its link holds."""
KEPT = timedelta(days=3)
"""How long it is known that a letter was sent: longer than any letter lives."""
FORGET_EVERY = 3600.0


class Postman:
    """`run()` sends until it is cancelled; any number of processes may."""

    def __init__(self, pool: Pool, carrier: Carrier, *, secret: str, page_url: str, mail_from: str) -> None:
        self._pool = pool
        self._carrier = carrier
        self._secret = secret
        self._page_url = page_url
        self._mail_from = mail_from

    async def run(self) -> None:
        """Ends by cancellation alone. What Postgres refuses is logged, and done the next time."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._again_and_again(self._deliver_all, POLL))
            tasks.create_task(self._again_and_again(self.forget, FORGET_EVERY))

    async def forget(self) -> None:
        """It is no longer known what became of letters that the feed has long forgotten."""
        async with acquire(self._pool) as connection:
            await queries.forget_letters(connection, before=clock.now() - KEPT)

    async def _deliver_all(self) -> None:
        while await self.deliver():
            pass

    async def _again_and_again(self, work: Callable[[], Awaitable[None]], every: float) -> None:
        while True:
            try:
                await work()
            except POSTGRES_AWAY as error:
                log.warning("letters_held", cause=type(error).__name__)
            await asyncio.sleep(every * random.uniform(0.75, 1.25))  # noqa: S311 - spreads, hides nothing

    async def deliver(self) -> bool:
        """One letter, if one is due: sent, refused for good, or put off. False when none was."""
        now = clock.now()
        async with acquire(self._pool) as connection:
            row = await queries.claim_letter(connection, now=now, until=now + LEASE)
        if row is None:
            return False
        letter = Letter(*row)
        await reached("postman:claimed")
        try:
            await self._carrier.carry(self._written(letter), letter.id)
        except Refused as error:
            await self._note(letter, "refused", str(error))
        except Postponed as error:
            await self._note(letter, "postponed", str(error))
        else:
            await reached("postman:sent")
            await self._note(letter, "sent", None)
        return True

    def _written(self, letter: Letter) -> Any:
        token = None
        if letter.kind in PAGES:
            kind: LinkKind = "confirm" if letter.kind == "confirm" else "recover"
            token = sign_link(
                self._secret, kind, account_id=letter.account_id, stamp=letter.stamp, expires_at=letter.expires_at
            )
        return compose(letter, token=token, page_url=self._page_url, mail_from=self._mail_from, now=clock.now())

    async def _note(self, letter: Letter, outcome: str, error: str | None) -> None:
        """What became of it, without an address or a word of it."""
        LETTERS.labels(letter.kind, outcome).inc()
        now = clock.now()
        fields = {"letter": str(letter.id), "kind": letter.kind, "attempts": letter.attempts}
        async with acquire(self._pool) as connection:
            if outcome == "sent":
                log.info("letter_sent", **fields)
                await queries.letter_sent(connection, id=letter.id, now=now)
            elif outcome == "refused":
                log.warning("letter_refused", **fields, cause=error)
                await queries.letter_refused(connection, id=letter.id, now=now, error=error)
            else:
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(letter.attempts - 1, 20))
                log.warning("letter_postponed", **fields, cause=error, wait=wait)
                due_at = now + timedelta(seconds=wait)
                await queries.letter_postponed(connection, id=letter.id, due_at=due_at, error=error)
