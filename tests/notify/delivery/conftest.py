"""Delivery's fixtures: a mail server, letters in the feed's tables, and a postman to drive step by step."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.notify.delivery.carriers import MailServer as Server
from services.notify.delivery.postman import Postman
from shared import clock, faults
from shared.ids import new_id
from shared.postgres import Pool, open_pool
from tests.notify.delivery.mail import MailServer
from tests.servers import Database

SECRET = "a secret for tests alone, thirty-two long"


class Letters:
    """Writes letters as the feed does, in its role; looks at what became of them, in notify's."""

    def __init__(self, feed: Any, notify: Pool) -> None:
        self.feed, self.notify = feed, notify

    async def member(self, handle: str, *, confirmed: str | None = None, pending: str | None = None) -> int:
        account = new_id()
        await self.feed.execute(
            "insert into feed.account (id, handle, display_name, created_at) values ($1, $2, $3, now())",
            account,
            handle,
            handle.title(),
        )
        await self.feed.execute(
            "insert into feed.email (account_id, address, folded, confirmed_at, pending) "
            "values ($1, $2, lower($2), case when $2::text is null then null else now() end, $3)",
            account,
            confirmed,
            pending,
        )
        return account

    async def write(self, kind: str, address: str, account: int | None = None, stamp: str = "") -> int:
        letter, now = new_id(), clock.now()
        await self.feed.execute(
            "insert into feed.letter (id, kind, account_id, address, stamp, created_at, expires_at) "
            "values ($1, $2, $3, $4, $5, $6, $7)",
            *(letter, kind, account, address, stamp, now, now + timedelta(hours=1)),
        )
        return letter

    async def became(self, letter: int) -> dict[str, Any]:
        row = await self.notify.fetchrow("select * from notify.letter where id = $1", letter)
        assert row is not None
        return dict(row)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Notify's own pool, in its own role."""
    pool = await open_pool(database.url_notify, application_name="delivery tests", max_size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def letters(database: Database, pool: Pool) -> AsyncIterator[Letters]:
    feed = await asyncpg.connect(database.url_feed)
    yield Letters(feed, pool)
    await feed.close()


@pytest.fixture
def postman(pool: Pool, mail: MailServer) -> Postman:
    """A postman that is not running: tests tell it to deliver."""
    return postman_of(pool, mail.url)


def postman_of(pool: Pool, url: str) -> Postman:
    return Postman(
        pool, Server(url), secret=SECRET, page_url="http://chorus.test", mail_from="Chorus <hello@chorus.test>"
    )


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    faults.hold(None)
    clock.move(0)
