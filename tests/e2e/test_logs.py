"""What both services log of requests: the route in place of the path, and nothing that names or quotes a person."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from PIL import Image

from tests.e2e.people import PASSWORD, Member
from tests.e2e.test_accounts import letter
from tests.e2e.test_request_ids import lines
from tests.feed.test_media import picture
from tests.live_client import LiveClient
from tests.notify.delivery.mail import MailServer, token
from tests.servers import Database, give_role
from tests.stack import Stack, running_stack

ARTIST = 0x013B
"""Where a camera writes whose it is."""
ADDRESS = "Quagga@ibis.test"
WORDS = {
    "body": "zitronenfalter",
    "title": "nightjar at dusk",
    "tag": "xylophonia",
    "alt": "a lamp of jade",
    "asked": "walrusmoustache",
    "camera": "jerboa of the garden",
    "name": "Okapi Oleander",
}


@pytest.fixture
def services(database: Database, redis_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Stack]:
    """The services, told of a mail server; they log all that they can."""
    told = {
        "CHORUS_SMTP_URL": mail.url,
        "CHORUS_MAIL_FROM": "Chorus <hello@chorus.test>",
        "CHORUS_LOG_LEVEL": "debug",
        "CHORUS_SIGN_IN_ATTEMPTS": "2",
    }
    with running_stack(database, redis_url, tmp_path, told) as stack:
        yield stack


async def answered(http: httpx.AsyncClient, method: str, path: str, *statuses: int, **options: Any) -> Any:
    """What is answered, with one of these statuses."""
    answer = await http.request(method, path, **options)
    assert answer.status_code in statuses, answer.text
    return answer.json() if answer.content and "json" in answer.headers["content-type"] else {}


async def journey(services: Stack, mail: MailServer, inside: AsyncExitStack) -> tuple[Member, Member, list[str]]:
    """Two members do what members do, and are refused what members are; with all the secrets that they were given."""
    ann = await inside.enter_async_context(await Member.sign_up(services.url, "sassafras"))
    bob = await inside.enter_async_context(await Member.sign_up(services.url, "bergamot"))
    secrets = [ann.token, bob.token]
    mail.refusals.append(f"451 {ADDRESS} is not here at the moment")
    await ann.call("PUT", "/v1/me/email", {"address": ADDRESS, "password": PASSWORD})
    await ann.call("PUT", "/v1/me/email", {"address": f"x{ADDRESS}", "password": PASSWORD})
    await ann.call("PUT", "/v1/me/email", {"address": ADDRESS, "password": PASSWORD})
    link = token(await letter(mail, "Confirm"))
    await answered(ann.http, "POST", "/v1/email/confirm", 200, 410, json={"token": link})
    await answered(ann.http, "POST", "/v1/password/recovery", 202, json={"address": ADDRESS})
    exif = Image.Exif()
    exif[ARTIST] = WORDS["camera"]
    form: dict[str, Any] = {"files": {"file": ("p.jpg", picture(exif=exif.tobytes()))}, "data": {"alt": WORDS["alt"]}}
    photo = await answered(ann.http, "POST", "/v1/media", 201, **form)
    body = f"{WORDS['body']} #{WORDS['tag']} @{bob.account['handle']}"
    post = await ann.post(body, title=WORDS["title"], media=[photo["id"]])
    comment = await bob.comment(post, f"{WORDS['body']} @{ann.account['handle']}")
    ticket = (await ann.call("POST", "/v1/live/ticket", expect=201))["ticket"]
    secrets += [link, ticket]
    async with LiveClient(services.notify.live_url, ticket) as page:
        await page.subscribe(f"topic:{WORDS['tag']}")
        inbox = await page.subscribe(f"inbox:{ann.id}")
        await bob.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "heart"})
        await page.until(lambda: any(event["type"] == "notification.changed" for event in inbox.events))
        await page.send({"type": "subscribe", "id": 9, "channels": [{"channel": WORDS["asked"]}]})
        await page.send(json.dumps({"type": WORDS["asked"]})[:-2])
        await page.until(lambda: len([frame for frame in page.frames if frame["type"] == "error"]) >= 2)
    for url in (services.url, services.notify.url):
        for path in (f"/v1/{WORDS['asked']}", f"/v1/notifications/{ADDRESS}", f"/{ann.account['handle']}"):
            await answered(ann.http, "GET", f"{url}{path}", 404)
        await answered(ann.http, "GET", f"{url}/v1/notifications?before={WORDS['asked']}", 404, 422)
    await answered(ann.http, "GET", f"/v1/topics/{WORDS['asked']}?q={WORDS['asked']}", 404, 422)
    await answered(ann.http, "GET", f"/v1/topics?before={WORDS['asked']}", 422)
    await answered(ann.http, "POST", "/v1/posts", 400, content=f'{{"body": "{WORDS["body"]}'.encode())
    for _ in range(3):
        wrong = {"handle": ann.account["handle"], "password": WORDS["asked"]}
        await answered(ann.http, "POST", "/v1/sessions", 401, 429, json=wrong)
    stranger = {"Authorization": f"Bearer {ann.token}x"}
    await answered(ann.http, "GET", f"{services.notify.url}/v1/notifications", 401, headers=stranger)
    await ann.call("DELETE", f"/v1/comments/{comment['id']}", expect=403)
    return ann, bob, secrets


async def test_what_breaks_is_logged_by_its_route_and_no_line_of_a_journey_names_or_quotes_anybody(
    services: Stack, database: Database, mail: MailServer
) -> None:
    async with AsyncExitStack() as inside:
        ann, bob, secrets = await journey(services, mail, inside)
        await give_role(database, ann.id, "admin")
        owner = await asyncpg.connect(database.url_direct)
        inside.push_async_callback(owner.close)
        await owner.execute(
            "revoke insert on feed.role_grant from chorus_feed;"
            "revoke select on feed.topic_wire from chorus_feed; revoke select on notify.inbox from chorus_notify"
        )
        asked = {"X-Request-Id": "request-that-breaks"}
        name = bob.account["handle"]
        for method, url, body in (
            ("PUT", f"{services.url}/v1/roles/{name}", {"role": "author"}),
            ("GET", f"{services.url}/v1/topics/{WORDS['tag']}?q={WORDS['asked']}", None),
            ("GET", f"{services.notify.url}/v1/notifications?limit=7&q={WORDS['asked']}", None),
            ("POST", f"{services.notify.url}/v1/notifications/read", {"up_to": "7"}),
        ):
            await answered(ann.http, method, url, 500, headers=asked, json=body)
    for service, routes in (
        (services.feed, ["/v1/roles/{handle}", "/v1/topics/{slug}"]),
        (services.notify, ["/v1/notifications", "/v1/notifications/read"]),
    ):
        broke = [line for line in lines(service) if line["event"] == "request_broke"]
        assert [line["route"] for line in broke] == routes
        assert {line["request_id"] for line in broke} == {"request-that-breaks"}
    people = [member.account[field] for member in (ann, bob) for field in ("handle", "display_name")]
    for service in services.services:
        said = service.log.read_text().casefold()
        for word in (*WORDS.values(), *people, *secrets, ADDRESS, PASSWORD):
            assert word.casefold() not in said, f"{word} in the log of {service.name}"
        assert said, service.name
    assert [line for line in lines(services.notify) if line["event"] == "letter_postponed"], "the refusal was logged"
