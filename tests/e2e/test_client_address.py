"""Whose address a throttle counts: who connects, unless a proxy that we trust says for whom it does."""

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.stack import Stack

ONE = {"CHORUS_SIGNUPS_PER_HOUR": "1", "CHORUS_SOCKETS_PER_ADDRESS": "1"}


def sign_up(services: Stack, handle: str, forwarded_for: str) -> int:
    body = {"handle": handle, "display_name": "Ann", "password": "a kettle, a lamp and a chair"}
    return httpx.post(
        f"{services.url}/v1/accounts", json=body, headers={"X-Forwarded-For": forwarded_for}, timeout=20
    ).status_code


async def second_socket(services: Stack, addresses: tuple[str, str]) -> int | None:
    """What closes a second socket while the first, said to come from another address, is open; None: it stays."""

    def live(address: str) -> connect:
        return connect(
            services.notify.live_url,
            subprotocols=[Subprotocol("chorus.v1")],
            additional_headers={"X-Forwarded-For": address},
            proxy=None,
        )

    async with live(addresses[0]) as first, live(addresses[1]) as second:
        for socket in (first, second):
            try:
                await socket.send('{"type":"hello","id":1}')
                await socket.recv()
            except websockets.ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0
        return None


@pytest.mark.parametrize("services", [{**ONE, "FORWARDED_ALLOW_IPS": "*"}], indirect=True)
async def test_who_is_no_trusted_proxy_cannot_choose_an_address(services: Stack) -> None:
    assert sign_up(services, "ann", "203.0.113.1") == 201
    assert sign_up(services, "bob", "203.0.113.2") == 429
    assert await second_socket(services, ("203.0.113.1", "203.0.113.2")) == 4008


@pytest.mark.parametrize("services", [{**ONE, "CHORUS_TRUSTED_PROXIES": "127.0.0.0/8,10.1.0.0/16"}], indirect=True)
async def test_behind_a_trusted_proxy_each_client_counts_by_the_address_that_no_client_can_forge(
    services: Stack,
) -> None:
    assert sign_up(services, "ann", "203.0.113.1") == 201
    assert sign_up(services, "bob", "203.0.113.2") == 201
    # A client may put what it likes in front: the proxies add the truth at the end, and theirs alone is passed over.
    assert sign_up(services, "eve", "198.51.100.9, 203.0.113.1, 10.1.2.3") == 429
    assert await second_socket(services, ("203.0.113.1", "203.0.113.2")) is None
    assert await second_socket(services, ("198.51.100.9, 203.0.113.1", "203.0.113.1")) == 4008
