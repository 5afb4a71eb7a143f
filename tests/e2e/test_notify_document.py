"""Notify's OpenAPI document: every call with its body and examples, and no request made of it breaks anything."""

import asyncio
import contextlib
import re
from typing import Any

import asyncpg
import httpx
import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck

from tests.chains import chained
from tests.e2e.people import PASSWORD, Member
from tests.eventlog.rig import until
from tests.servers import Database, at_once
from tests.stack import Stack

EXAMPLES = 15


def validate(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(value)


def test_the_inbox_is_documented_and_nothing_made_of_that_breaks_it(services: Stack, database: Database) -> None:
    body = {"handle": "ada", "display_name": "Ada", "password": PASSWORD}
    token = httpx.post(f"{services.url}/v1/accounts", json=body, timeout=20).json()["token"]
    document = httpx.get(f"{services.notify.url}/openapi.json", timeout=20).json()
    assert set(document["paths"]) == {"/v1/notifications", "/v1/notifications/read"}
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    given = content.get("examples", {"": {"value": content.get("example")}})
                    assert given, f"{operation['operationId']} {status} has no example"
                    for example in given.values():
                        validate(document, content["schema"], example["value"])
            asked = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if asked is not None:
                validate(document, asked["schema"], asked["example"])
    pages = [httpx.get(f"{services.notify.url}/docs{more}", timeout=20).text for more in ("", "/errors")]
    assert all(name in pages[0] for name in ("listNotifications", "readNotifications", "&quot;not_signed_in&quot;"))
    assert 'id="not_signed_in"' in pages[1]
    assert not any(re.search(r"<script|(src|href)=[\"']?(\w+:|//)", page) for page in pages)
    before = at_once(rows(database))
    assert fuzz(services.notify.url, document, token) > 2 * EXAMPLES
    assert at_once(rows(database)) == before  # an empty inbox: there is nothing that any of it may have written


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_no_chain_of_requests_breaks_the_inbox(services: Stack, database: Database) -> None:
    """Stateful: pages lead to pages, and lines that were listed are read up to."""
    async with await Member.sign_up(services.url, "ada") as ada, await Member.sign_up(services.url, "bo") as bo:
        post = await ada.post("Rain on the lake. #calm")
        for number in range(7):
            await bo.comment(post, f"Number {number}.")
        inbox = f"{services.notify.url}/v1/notifications"

        async def unread() -> int:
            return int((await ada.get(inbox))["unread"])

        async def all_told() -> bool:
            return await unread() == 7

        await until(all_told)
        listed, before = (await ada.get(inbox))["items"], await rows(database)
        document = (await ada.http.get(f"{services.notify.url}/openapi.json")).json()
        authority = {"Authorization": f"Bearer {ada.token}"}
        made = await asyncio.to_thread(chained, services.notify.url, document, lambda _: authority, chains=150)
        assert min(made["listNotifications", 200], made["readNotifications", 200]) > 20, made
        again = (await ada.get(inbox))["items"]
        assert [line | {"read": None} for line in again] == [line | {"read": None} for line in listed]
        assert await unread() == sum(not line["read"] for line in again) < 7
        after = await rows(database)
        written = {name for name, count in after.items() if count != before[name]}
        assert written <= {"eventlog.event", "notify.inbox"}, "reading moves one row and says so, nothing else"


async def rows(database: Database) -> dict[str, int]:
    """How many rows each of notify's tables has, and the log."""
    connection = await asyncpg.connect(database.url_direct)
    try:
        tables = await connection.fetch("select tablename from pg_tables where schemaname = 'notify' order by 1")
        names = ["eventlog.event", *(f"notify.{row['tablename']}" for row in tables)]
        return {name: await connection.fetchval(f"select count(*) from {name}") for name in names}
    finally:
        await connection.close()


def fuzz(url: str, document: dict[str, Any], token: str) -> int:
    """How many requests were made: each answer is as the document says, and none a 500."""
    tried = 0
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        for mode in schemathesis.GenerationMode:

            @hypothesis.settings(
                max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
                suppress_health_check=list(HealthCheck), phases=[hypothesis.Phase.generate],
            )  # fmt: skip
            @hypothesis.given(case=result.ok().as_strategy(generation_mode=mode))  # type: ignore[union-attr]
            def send(case: Any) -> None:
                nonlocal tried
                tried += 1
                response = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"})
                assert response.status_code < 500, response.text
                case.operation.validate_response(response)

            with contextlib.suppress(hypothesis.errors.Unsatisfiable):
                send()
    return tried
