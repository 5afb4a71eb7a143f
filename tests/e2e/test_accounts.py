"""Accounts across both services: letters over a real mail server, and sockets that close when their session ends."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.e2e.people import PASSWORD, Member
from tests.live_client import LiveClient
from tests.notify.delivery.mail import MailServer, token
from tests.stack import Stack

REVOKED = 4503
NEW = "a lake, a swan and fog"


@pytest.fixture
def services(mailing_services: Stack) -> Stack:
    """The services, told of a mail server."""
    return mailing_services


async def sockets(services: Stack, member: Member, count: int, inside: AsyncExitStack) -> list[LiveClient]:
    """Open sockets, each of a session of its own."""
    opened = []
    for _ in range(count):
        session = await member.call(
            "POST", "/v1/sessions", {"handle": member.account["handle"], "password": PASSWORD}, 201
        )
        client = LiveClient(services.notify.live_url, session["token"])
        await client.connect()
        inside.push_async_callback(client.close)
        opened.append(client)
    return opened


async def close_codes(clients: list[LiveClient]) -> list[int]:
    return await asyncio.gather(*(client.closed() for client in clients))


async def letter(mail: MailServer, subject: str) -> Any:
    """The newest letter with this subject, once it is there."""
    async with asyncio.timeout(20):
        while True:
            for message in reversed(mail.letters):
                if message["Subject"].startswith(subject):
                    mail.letters.remove(message)
                    return message
            await asyncio.sleep(0.05)


async def test_sockets_close_with_4503_when_their_sessions_end(services: Stack) -> None:
    async with AsyncExitStack() as inside:
        ada = await inside.enter_async_context(await Member.sign_up(services.url, "ada"))
        bob = await inside.enter_async_context(await Member.sign_up(services.url, "bob"))
        (kept,) = await sockets(services, bob, 1, inside)
        own = LiveClient(services.notify.live_url, ada.token)
        await own.connect()
        inside.push_async_callback(own.close)

        one, *others = await sockets(services, ada, 4, inside)
        listed = (await ada.get("/v1/me/sessions"))["items"]
        assert [item["current"] for item in listed] == [False] * 4 + [True]
        await ada.call("DELETE", f"/v1/me/sessions/{listed[3]['id']}", expect=204)
        assert await one.closed() == REVOKED
        await ada.call("DELETE", "/v1/me/sessions", expect=204)
        assert await close_codes(others) == [REVOKED] * 3

        others = await sockets(services, ada, 2, inside)
        await ada.call("POST", "/v1/me/password", {"current": PASSWORD, "password": NEW}, 204)
        assert await close_codes(others) == [REVOKED] * 2
        await own.subscribe(f"inbox:{ada.id}")
        assert own.close_code is None, "the session that asked goes on"

        await ada.call("POST", "/v1/me/deletion", {"password": NEW, "words": "keep"}, 202)
        assert await own.closed() == REVOKED
        await kept.subscribe("topic:calm")
        assert kept.close_code is None


async def test_an_account_comes_back_by_its_mail_alone(services: Stack, mail: MailServer) -> None:
    async with AsyncExitStack() as inside:
        ada = await inside.enter_async_context(await Member.sign_up(services.url, "ada"))
        http = await inside.enter_async_context(httpx.AsyncClient(base_url=services.url, timeout=20))
        (open_socket,) = await sockets(services, ada, 1, inside)
        await ada.call("PUT", "/v1/me/email", {"address": "Ada@post.test", "password": PASSWORD})
        link = token(await letter(mail, "Confirm"))
        confirmed = await http.post("/v1/email/confirm", json={"token": link})
        assert confirmed.json() == {"address": "Ada@post.test", "handle": ada.account["handle"]}

        for address in ("nobody@post.test", "ada@post.test"):
            assert (await http.post("/v1/password/recovery", json={"address": address})).status_code == 202
        recovery = await letter(mail, "A new password")
        assert recovery["To"] == "Ada@post.test"
        reset = {"token": token(recovery), "password": NEW}
        assert (await http.post("/v1/password/reset", json=reset)).status_code == 204
        assert await open_socket.closed() == REVOKED
        assert (await letter(mail, "Your password"))["To"] == "Ada@post.test"
        assert (await http.post("/v1/password/reset", json=reset)).status_code == 410
        again = {"handle": ada.account["handle"], "password": NEW}
        assert (await http.post("/v1/sessions", json=again)).status_code == 201
        assert not [message for message in mail.letters if message["To"] == "nobody@post.test"]
    said = services.feed.tail(1_000_000) + services.notify.tail(1_000_000)
    for secret in ("post.test", link, reset["token"], NEW, PASSWORD):
        assert secret.casefold() not in said.casefold(), "no address, link or password is ever logged"
