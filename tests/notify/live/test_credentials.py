"""Who a socket belongs to, for how long, and what a revocation does to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import httpx
import msgspec
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, eventually, house_of, token
from tests.notify.live.test_closing import code_of, greeted, hurried, raw
from tests.servers import Database


async def test_bad_credentials_are_4500(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    other, _ = await pen.member("bea")
    wrong = [
        "nonsense",
        token(account, session, ttl=-5),
        token(account, session, kind="cookie"),
        token(account, 4711),
        token(other, session),
    ]
    for each in wrong:
        async with raw(house) as socket:
            await socket.send(msgspec.json.encode({"type": "hello", "token": each}).decode())
            assert await code_of(socket) == 4500, each


async def test_the_socket_and_http_judge_a_session_alike(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    other, _ = await pen.member("bea")
    over, revoked = await pen.session(account, "-1 hour"), await pen.session(account)
    await pen.revoke(account, revoked, tell=False)
    cases = [(account, session, True), (account, over, False), (account, revoked, False)]
    cases += [(other, session, False), (account, 4711, False)]
    for owner, named, good in cases:
        ticket = token(owner, named)
        async with raw(house) as socket, httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
            inbox = await client.get("/v1/notifications", headers={"Authorization": f"Bearer {ticket}"})
            assert inbox.status_code == (200 if good else 401)
            await socket.send(msgspec.json.encode({"type": "hello", "token": ticket}).decode())
            if good:
                assert msgspec.json.decode(await socket.recv())["type"] == "welcome"
            else:
                assert await code_of(socket) == (4503 if named == revoked else 4500)


async def test_a_revoked_session_is_4503_at_hello(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    await pen.revoke(account, session, tell=False)
    async with raw(house) as socket:
        await socket.send(msgspec.json.encode({"type": "hello", "token": token(account, session)}).decode())
        assert await code_of(socket) == 4503


async def test_a_revocation_closes_live_sockets_of_that_session_alone(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    async with (
        LiveClient(house.url, token(account, session)) as one,
        LiveClient(house.url, token(account, session, kind="access", ttl=100)) as two,
        LiveClient(house.url) as guest,
    ):
        await pen.revoke(account, session)
        assert await one.closed(1) == 4503
        assert await two.closed(1) == 4503
        await guest.subscribe("post:1")


async def test_credentials_run_out_with_notice_and_can_be_renewed(database: Database, pen: Pen) -> None:
    account, session = await pen.member()
    async with house_of(database, timing=hurried(ticket=1.2, notice=0.9)) as house, raw(house) as socket:
        welcome = await greeted(socket, token=token(account, session))
        assert welcome["expires_in"] == 1.2
        assert msgspec.json.decode(await socket.recv()) == {"type": "expiring", "in": 0.9}
        await socket.send(msgspec.json.encode({"type": "renew", "id": 5, "token": token(account, session)}).decode())
        assert msgspec.json.decode(await socket.recv()) == {"type": "renewed", "id": 5, "expires_in": 1.2}
        assert msgspec.json.decode(await socket.recv())["type"] == "expiring"
        assert await code_of(socket) == 4001


async def test_a_bad_renewal_is_an_error_and_the_session_goes_on(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    other, elsewhere = await pen.member("bea")
    async with raw(house) as socket:
        await greeted(socket, token=token(account, session))
        ended, revoked = await pen.session(account, "-1 hour"), await pen.session(account)
        await pen.revoke(account, revoked, tell=False)
        for credentials, code in (
            ("nonsense", "bad_credentials"),
            (token(account, ended), "bad_credentials"),
            (token(account, revoked), "bad_credentials"),
            (token(other, elsewhere), "another_member"),
        ):
            await socket.send(msgspec.json.encode({"type": "renew", "id": 5, "token": credentials}).decode())
            answer = msgspec.json.decode(await socket.recv())
            assert (answer["id"], answer["code"]) == (5, code)
        await socket.send('{"type":"ping","id":6}')
        assert msgspec.json.decode(await socket.recv())["type"] == "pong"


@pytest.mark.parametrize("kind", ["ticket", "access"])
async def test_a_socket_ends_with_its_session_however_long_its_token_lasts(house: House, pen: Pen, kind: str) -> None:
    account, _ = await pen.member()
    short = await pen.session(account, "1.5 seconds")
    async with raw(house) as socket:
        welcome = await greeted(socket, token=token(account, short, kind=kind, ttl=100))
        assert 0 < welcome["expires_in"] <= 1.5
        assert msgspec.json.decode(await socket.recv())["type"] == "expiring"
        assert await code_of(socket) == 4001


@pytest.mark.parametrize(("lasts", "renewed"), [("-1 hour", False), ("1 day", True)])
async def test_a_revocation_while_a_renewal_is_looked_at_ends_who_is_not_renewed(
    database: Database, house: House, pen: Pen, lasts: str, renewed: bool
) -> None:
    account, session = await pen.member()
    other = await pen.session(account, lasts)
    async with raw(house) as socket:
        await greeted(socket, token=token(account, session))
        async with no_answer_about_sessions(database) as answer:
            await socket.send(msgspec.json.encode({"type": "renew", "id": 5, "token": token(account, other)}).decode())
            await eventually(lambda: {each.session_id for each in house.hub.members[account]} == {other})
            payload = {"account_id": str(account), "session_id": str(session)}
            await pen.write("session.revoked", [f"inbox:{account}"], payload)
            await house.reached(1)
            await answer()
            if renewed:
                while (frame := msgspec.json.decode(await socket.recv()))["type"] == "mark":
                    pass  # the revocation moved the head, and its mark may come first
                assert frame["type"] == "renewed"
            else:
                assert await code_of(socket) == 4503


@asynccontextmanager
async def no_answer_about_sessions(database: Database) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Postgres keeps whoever asks about sessions waiting, until what this gives is called."""
    blocker = await asyncpg.connect(database.url_direct)
    hold = blocker.transaction()
    await hold.start()
    await blocker.execute("lock table feed.session in access exclusive mode")
    try:
        yield hold.rollback
    finally:
        await blocker.close()


@asynccontextmanager
async def unanswered(
    database: Database, house: House, pen: Pen
) -> AsyncIterator[tuple[ClientConnection, Callable[[], Awaitable[object]], int, int]]:
    """A socket whose hello waits for Postgres; what lets Postgres answer; its account and its session."""
    account, session = await pen.member()
    async with no_answer_about_sessions(database) as answer, raw(house) as socket:
        await socket.send(msgspec.json.encode({"type": "hello", "token": token(account, session)}).decode())
        await eventually(lambda: account in house.hub.members)
        yield socket, answer, account, session


async def test_no_mark_goes_ahead_of_the_welcome(database: Database, house: House, pen: Pen) -> None:
    async with LiveClient(house.url) as guest, unanswered(database, house, pen) as (socket, answer, *_):
        await pen.write("x", ["topic:a"])
        await guest.until(lambda: guest.frames[-1]["type"] == "mark")
        await answer()
        assert msgspec.json.decode(await socket.recv())["type"] == "welcome"
        await pen.write("x", ["topic:a"])
        assert msgspec.json.decode(await socket.recv()) == {"type": "mark", "log": 0, "seq": 2}


async def test_a_revocation_is_heard_before_the_welcome(database: Database, house: House, pen: Pen) -> None:
    async with unanswered(database, house, pen) as (socket, answer, account, session):
        payload = {"account_id": str(account), "session_id": str(session)}
        await pen.write("session.revoked", [f"inbox:{account}"], payload)
        assert await nothing_but_a_close(socket) == 4503
        await answer()


async def test_a_drain_before_the_welcome_is_a_close_alone(database: Database, house: House, pen: Pen) -> None:
    async with unanswered(database, house, pen) as (socket, answer, *_):
        await house.app.gateway.drain(0.05)
        assert await nothing_but_a_close(socket) == 4000
        await answer()


async def nothing_but_a_close(socket: ClientConnection) -> int:
    """The close code, which is all that comes."""
    try:
        frame = await socket.recv()
    except websockets.ConnectionClosed:
        assert socket.close_code is not None
        return socket.close_code
    raise AssertionError(f"{frame!r} came")
