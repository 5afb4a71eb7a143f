"""Redis with TLS and a user who may do what Chorus does, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme

from services.doctor.stream import redis_found
from services.feed.settings import FeedSettings
from shared.eventlog.stream import UNAVAILABLE, Stream
from shared.redis_client import open_redis
from shared.settings import Common, load
from tests.e2e.people import Member
from tests.live_client import LiveClient
from tests.needed import needed
from tests.production.redises import ACL, Secured, awaited, running
from tests.servers import Database, server_folder
from tests.stack import Stack


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with server_folder() as folder:
        server = Secured(needed("redis-server", "redis-server"), folder)
        with running(server.node):
            with redis.Redis.from_url(f"{server.url}?ssl_ca_certs={server.ca}") as client:
                awaited(client.ping, "an answer over TLS")
            yield server


async def test_a_post_reaches_a_socket_through_tls_as_a_user_of_few_rights(
    database: Database, secured: Secured, tmp_path: Path
) -> None:
    stack = Stack(database, secured.url, tmp_path, {"CHORUS_REDIS_CA": str(secured.ca)})
    try:
        stack.start()
        async with (
            await Member.sign_up(stack.url, "secure") as member,
            LiveClient(stack.notify.live_url, member.token) as client,
        ):
            await client.subscribe("topic:tls")
            await member.post("Signed and sealed. #tls")
            [event] = await client.events("topic:tls", 1)
            assert event["type"] == "post.created"
            ready = await member.get("/readyz")
            assert (ready["status"], ready["broken"]) == ("ok", [])
            readies = (await member.http.get(f"{stack.notify.url}/readyz")).json()
            assert (readies["status"], readies["broken"]) == ("ok", [])
        assert "NOPERM" not in "".join(service.tail(100_000) for service in stack.services)
    finally:
        stack.stop()


async def test_the_doctor_may_look_at_it(secured: Secured) -> None:
    settings = load(Common, {"CHORUS_REDIS_URL": secured.url, "CHORUS_REDIS_CA": str(secured.ca)})
    findings = await redis_found(settings.redis_address(), None, {})
    assert all(finding.ok for finding in findings), findings


def test_the_rights_that_were_tried_are_those_that_the_operator_s_page_names() -> None:
    page = (Path(__file__).parents[2] / "docs" / "PRODUCTION.md").read_text()
    assert f"user chorus on >PASSWORD {ACL}\n" in page


async def test_a_certificate_that_nobody_we_know_signed_is_not_trusted(secured: Secured, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    client = open_redis(f"{secured.url}?ssl_ca_certs={stranger}")
    with pytest.raises(UNAVAILABLE, match="certificate verify failed"):
        await Stream(client, 0).last()
    await client.aclose()


@pytest.mark.parametrize(
    "url", ["rediss://h:1", "rediss+sentinel://h:1,h:2/m?db=0", "rediss+cluster://u:p@h:1,[::1]:2"]
)
def test_the_certificates_go_with_every_kind_of_tls_address(url: str) -> None:
    settings = load(FeedSettings, {"CHORUS_REDIS_URL": url, "CHORUS_REDIS_CA": "/etc/a b/ca.pem"})
    assert settings.redis_address().startswith(url)
    assert "ssl_ca_certs=/etc/a%20b/ca.pem" in settings.redis_address()
    open_redis(settings.redis_address())
