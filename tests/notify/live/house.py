"""A whole notify server in the test's own loop, and a pen that writes to the log behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from services.notify.app import Notify
from services.notify.live.connection import Timing
from services.notify.serve import Server, server
from services.notify.settings import NotifySettings
from shared.auth import issue
from shared.ids import new_id
from shared.listening import listen
from tests.live_client import Cursor
from tests.servers import Database

SECRET = "a secret for tests alone, thirty-two long"
Json = dict[str, Any]


class Pen:
    """Writes events the way the feed does, numbers them the way a sequencer does, and knows members."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def append(self, kind: str, channels: Sequence[str], payload: Json | bytes = b"{}", key: str = "k") -> int:
        """An event, committed and not yet numbered; its id."""
        raw = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        appended: int = await self._connection.fetchval(
            "select eventlog.append($1, $2, $3, $4)", key, kind, list(channels), raw
        )
        return appended

    async def write(self, kind: str, channels: Sequence[str], payload: Json | bytes = b"{}", key: str = "k") -> int:
        """An event, numbered."""
        appended = await self.append(kind, channels, payload, key)
        await self.number()
        return appended

    async def write_many(self, count: int, channels: Sequence[str], size: int = 20, kind: str = "x") -> None:
        """`count` numbered events `{"n": i, "fill": …}` at once."""
        await self._connection.execute(
            "select eventlog.append('k', $1, $2, convert_to(format('{\"n\":%s,\"fill\":\"%s\"}', i, repeat('x', $3)),"
            " 'UTF8')) from generate_series(1, $4) i",
            kind,
            list(channels),
            size,
            count,
        )
        await self.number()

    async def number(self) -> None:
        """Everything appended has its position."""
        for row in await self._connection.fetch("select log, epoch from eventlog.head order by log"):
            async with self._connection.transaction(isolation="repeatable_read"):
                await self._connection.fetch("select * from eventlog.number($1, $2, 1)", row["log"], row["epoch"])

    async def cursor(self) -> Json:
        """`as_of` now."""
        text: str = await self._connection.fetchval("select eventlog.head_cursor()::text")
        return msgspec.json.decode(text, type=Json)

    async def new_epoch(self) -> int:
        """What a sequencer does when Postgres may have lost history."""
        opened: int = await self._connection.fetchval("select eventlog.open_epoch(null, 0, 'test')")
        return opened

    async def forget(self, through: int) -> None:
        """What retention does, by hand: entries through `through` are gone."""
        await self._connection.execute("delete from eventlog.entry where seq <= $1", through)
        await self._connection.execute("update eventlog.retained set floor = $1", through + 1)

    async def tear(self, log_seq: int) -> None:
        """What may never happen: the log says it has come further than its entries do, and skips some."""
        await self._connection.execute(
            "update eventlog.tick t set seq = $1 from eventlog.head h where h.log = 0 and t.log = 0 and t.seq = h.seq",
            log_seq + 3,
        )
        await self.write("x", ["topic:a"])

    async def erase(self, seq: int) -> None:
        """The words of an entry of log 0 are removed; the event that says so is committed and not yet numbered."""
        await self._connection.execute("select eventlog.redact(0::smallint, $1)", seq)

    async def redact(self, seq: int) -> None:
        """The words of an entry of log 0 are removed, and the event that says so is numbered."""
        await self.erase(seq)
        await self.number()

    async def logs(self, count: int) -> None:
        """The installation has `count` logs."""
        await self._connection.execute("select eventlog.initialise($1)", count)

    async def member(self, handle: str = "ada") -> tuple[int, int]:
        """A member with a session: their ids."""
        account = new_id()
        await self._connection.execute(
            "insert into feed.account (id, handle, display_name, created_at) values ($1, $2, $2, now())",
            account,
            handle,
        )
        return account, await self.session(account)

    async def session(self, account: int, lasts: str = "1 day") -> int:
        """Another session of the member, which ends after an interval."""
        session = new_id()
        await self._connection.execute(
            "insert into feed.session (id, account_id, kind, created_at, expires_at)"
            " values ($1, $2, 'token', now() - interval '1 day', now() + $3::text::interval)",
            session,
            account,
            lasts,
        )
        return session

    async def revoke(self, account: int, session: int, *, tell: bool = True) -> None:
        """The session is revoked."""
        await self._connection.execute("update feed.session set revoked_at = now() where id = $1", session)
        if tell:
            payload = {"account_id": str(account), "session_id": str(session)}
            await self.write("session.revoked", [f"inbox:{account}"], payload)

    async def membership(self, account: int, topic: str, *, joined: bool) -> None:
        """The member joins or leaves, with the event, as the feed does."""
        await self._connection.execute(
            "insert into feed.topic (slug, name, tag, created_at) values ($1, $1, $1, now()) on conflict do nothing",
            topic,
        )
        change = (
            "insert into feed.membership (account_id, topic, joined_at) values ($1, $2, now()) on conflict do nothing"
            if joined
            else "delete from feed.membership where account_id = $1 and topic = $2"
        )
        await self._connection.execute(change, account, topic)
        payload = {"account_id": str(account), "topic": topic, "joined": joined}
        await self.write("membership.changed", [f"inbox:{account}"], payload, key=str(account))


class House:
    """A running notify server; `url` is where sockets connect."""

    def __init__(self, app: Notify, running: Server, port: int) -> None:
        self.app = app
        self.server = running
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/v1/live"
        self.fatal: list[BaseException] = []

    async def reached(self, seq: int, log: int = 0) -> None:
        """The hub has taken the log in through `seq`."""
        done = asyncio.Event()
        hub = self.hub
        hub.await_position(log, seq, done.set)
        hub.take(log, [])
        await asyncio.wait_for(done.wait(), 10)

    @property
    def ready(self) -> bool:
        """Whether sockets find a generation to join."""
        return self.app._follower is not None and self.app._follower.current is not None

    @property
    def hub(self) -> Any:
        """The hub of the present generation."""
        assert self.app._follower is not None
        assert self.app._follower.current is not None
        return self.app._follower.current.hub


async def eventually(true: Callable[[], object], timeout: float = 10) -> None:
    """Waits for something that no frame announces. Raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while not true():  # noqa: ASYNC110 - the server is another's, and has no event for tests
            await asyncio.sleep(0.005)


def token(account: int, session: int, *, kind: str = "ticket", ttl: float = 60) -> str:
    """Credentials as the feed signs them."""
    return issue(SECRET, kind, account_id=account, session_id=session, ttl=ttl)  # type: ignore[arg-type]


@asynccontextmanager
async def pen_of(database: Database) -> AsyncIterator[Pen]:
    """A pen on a database."""
    connection = await asyncpg.connect(database.url_direct)
    try:
        yield Pen(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def house_of(
    database: Database, redis_url: str = "", *, timing: Timing | None = None, mark: float = 0.05, **settings: Any
) -> AsyncIterator[House]:
    """A notify server, ready; `settings` override what tests usually want."""
    bound: socket.socket = listen("127.0.0.1", 0)
    port: int = bound.getsockname()[1]
    values: dict[str, Any] = {
        "notify_database_url": database.url_notify,
        "redis_url": redis_url,
        "secret_key": SECRET,
        "notify_port": port,
        "drain": 0.02,
        "notify_pool": 4,
        **settings,
    }
    told = NotifySettings(**values)
    fatal: list[BaseException] = []
    app = Notify(told, on_fatal=fatal.append, timing=timing, mark_interval=mark)
    running = server(told, app)
    house = House(app, running, port)
    house.fatal = fatal
    task = asyncio.create_task(running._serve([bound]))
    try:
        await eventually(lambda: task.done() or (running.started and house.ready), 20)
        assert not task.done(), "the server ended"
        yield house
    finally:
        running.should_exit = True
        await asyncio.wait_for(task, 20)


def cursor(found: dict[str, Any]) -> Cursor:
    """`as_of` as the client keeps it."""
    return {"epoch": found["epoch"], "seq": list(found["seq"])}


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """What tells the events of `write_many` apart."""
    return [event["n"] for event in events]
