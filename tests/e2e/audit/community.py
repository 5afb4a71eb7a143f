"""A community that was lived in, and copies of it to damage."""

import asyncio
from pathlib import Path
from typing import NamedTuple, TypeAlias

import asyncpg
import redis as redis_py

from services.audit.auditing import audited
from services.audit.finding import Finding
from services.feed.settings import FeedSettings
from tests.e2e.people import Member
from tests.servers import Database
from tests.stack import SECRET, Stack

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]
STREAM = "chorus:log:{0}"


class Healthy(NamedTuple):
    """A community that was lived in and is stopped: its database, its stream, its photos."""

    database: str
    entries: Entries
    media: Path


class Copy:
    """A copy of it to damage."""

    def __init__(self, direct: Session, redis: "redis_py.Redis", settings: FeedSettings) -> None:
        self.sql, self.redis, self.settings = direct, redis, settings
        self.media = Path(settings.data_dir) / "media"

    async def audit(self) -> list[Finding]:
        return await audited(self.settings, lambda *_: None)


def of(database: Database, redis_url: str, folder: Path) -> FeedSettings:
    return FeedSettings(
        database_url=database.url_feed,
        notify_database_url=database.url_notify,
        direct_database_url=database.url_direct,
        redis_url=redis_url,
        data_dir=str(folder),
        secret_key=SECRET,
    )


def wrong(findings: list[Finding]) -> dict[str, str]:
    """What is wrong, each with what is said of it; whatever is wrong says what that means, what to do, and where."""
    assert all(each.means and each.do for each in findings if each.ok is False)
    return {each.what: each.found for each in findings if not each.ok}


async def live(stack: Stack) -> None:
    """What members do to each other, so that every table has something in it."""
    async with await Member.sign_up(stack.url, "ida") as ida, await Member.sign_up(stack.url, "sam") as sam:
        post = await ida.post("Does anybody have a spare ladder? #Borrowing", topics=["Sheds"])
        answer = await sam.comment(post, "In the shed, help yourself.")
        await ida.comment(post, "Thank you.", answer)
        await sam.post(f"Found the ladder, @{ida.account['handle']}. #Borrowing #Ladders")
        await sam.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "joy"})
        await ida.call("PUT", f"/v1/comments/{answer['id']}/reaction", {"kind": "hug"})
        await sam.call("PUT", "/v1/topics/borrowing/membership")
        await ida.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "Found one. #Ladders"})
        gone = await sam.post("Never mind. #Borrowing")
        await sam.call("DELETE", f"/v1/posts/{gone['id']}", expect=204)


async def handled(database: Database, redis: "redis_py.Redis") -> None:
    """Everything is numbered and in the stream, and the notifier is at the head. Nobody writes any more."""
    connection = await asyncpg.connect(database.url_direct)
    try:
        async with asyncio.timeout(20):
            while redis.xlen(STREAM) != await connection.fetchval(  # noqa: ASYNC110 - processes have no event for tests
                """select h.seq from notify.cursor c join eventlog.head h on h.log = c.log
                   where c.seq = h.seq and h.seq > 20 and not exists (select from notify.fanout_job)
                     and (select count(*) from eventlog.event) = (select count(*) from eventlog.entry)"""
            ):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


def restore(redis: "redis_py.Redis", entries: Entries) -> None:
    """The stream holds exactly these."""
    redis.flushall()
    for place, fields in entries:
        redis.xadd(STREAM, fields, id=place)  # type: ignore[arg-type]
