"""What tests of the feed say: members who write, what the database and the outbox then hold."""

import itertools
from typing import Any

import asyncpg
import httpx
import msgspec

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


class Member:
    """Somebody signed in with a bearer token."""

    def __init__(self, http: httpx.AsyncClient, account: dict[str, Any], token: str) -> None:
        self.http = http
        self.account = account
        self.id: str = account["id"]
        self.handle: str = account["handle"]
        self.token = token

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """One request as this member."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("GET", path, **options)

    async def post(self, text: str, **fields: Any) -> dict[str, Any]:
        """A post with this body, made."""
        return made(await self.call("POST", "/v1/posts", {"body": text, **fields}))

    async def comment(self, post: dict[str, Any], text: str, parent: dict[str, Any] | None = None) -> dict[str, Any]:
        """A comment below a post, made."""
        body = {"body": text, "parent": parent and parent["id"]}
        return made(await self.call("POST", f"/v1/posts/{post['id']}/comments", body))


class Community:
    """A running feed, seen from outside, and its database, seen from below."""

    def __init__(self, http: httpx.AsyncClient, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.http = http
        self.owner = owner

    async def member(self, handle: str | None = None) -> Member:
        """Somebody new."""
        handle = handle or f"member_{next(_numbers)}"
        body = {"handle": handle, "display_name": handle.title(), "password": PASSWORD}
        answer = made(await self.http.post("/v1/accounts", json=body))
        return Member(self.http, answer["account"], answer["token"])

    async def give(self, member: Member, role: str) -> Member:
        """The member has this role from now on; nobody is recorded as having given it."""
        await self.owner.execute("update feed.account set role = $2 where id = $1", int(member.id), role)
        return member

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """One read as a guest."""
        return await self.http.get(path, **options)

    async def events(self, after: int = 0) -> list[dict[str, Any]]:
        """What the outbox holds, in order: type, channels, and the payload's fields."""
        rows = await self.owner.fetch(
            "select id, type, channels, payload from eventlog.event where id > $1 order by id", after
        )
        return [
            {
                "event_id": row["id"],
                "type": row["type"],
                "channels": row["channels"],
                **msgspec.json.decode(row["payload"]),
            }
            for row in rows
        ]

    async def last_event(self) -> int:
        """The newest event's id; 0 before the first."""
        found: int = await self.owner.fetchval("select coalesce(max(id), 0) from eventlog.event")
        return found

    async def row_counts(self) -> dict[str, int]:
        """How many rows each table of the feed and the outbox holds."""
        names = await self.owner.fetch(
            "select schemaname || '.' || tablename as name from pg_tables "
            "where schemaname = 'feed' or (schemaname, tablename) = ('eventlog', 'event') order by 1"
        )
        sums = ", ".join(f"(select count(*) from {row['name']})" for row in names)
        counted = await self.owner.fetchrow(f"select {sums}")
        assert counted is not None
        return {row["name"]: count for row, count in zip(names, counted, strict=True)}


def made(response: httpx.Response) -> dict[str, Any]:
    """The body of a 200 or 201."""
    assert response.status_code in (200, 201), f"{response.status_code}: {response.text}"
    body: dict[str, Any] = response.json()
    return body


def problem(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document of a refusal with this status and code."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["type"] == f"/docs/errors#{body['code']}"
    assert code is None or body["code"] == code, body
    return body


def faults(response: httpx.Response) -> set[tuple[str, str]]:
    """Field and code of every fault that a 422 names."""
    return {(fault["field"], fault["code"]) for fault in problem(response, 422)["errors"]}


async def story_of(author: Member, **fields: Any) -> dict[str, Any]:
    """A draft of theirs."""
    return made(await author.call("POST", "/v1/stories", fields))
