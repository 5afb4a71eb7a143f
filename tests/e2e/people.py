"""Members for end-to-end tests: an account, its token, and the calls a test makes as that person."""

import itertools
from typing import Any, Self

import httpx

Json = dict[str, Any]
PASSWORD = "a kettle, a lamp and a chair"
_numbers = itertools.count(1)


class Member:
    """Somebody with an account; every call is made over HTTP as a page would, and must succeed unless told."""

    def __init__(self, feed: str, account: Json, token: str) -> None:
        self.account, self.token = account, token
        self.id: str = account["id"]
        self.http = httpx.AsyncClient(base_url=feed, headers={"Authorization": f"Bearer {token}"}, timeout=20)

    @classmethod
    async def sign_up(cls, feed: str, name: str) -> Self:
        """A new member whose handle starts with `name`."""
        handle = f"{name}{next(_numbers)}"
        body = {"handle": handle, "display_name": name.title(), "password": PASSWORD}
        async with httpx.AsyncClient(base_url=feed, timeout=20) as http:
            answer = await http.post("/v1/accounts", json=body)
        assert answer.status_code == 201, answer.text
        return cls(feed, answer.json()["account"], answer.json()["token"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def get(self, path: str, **params: Any) -> Json:
        """What a read gives."""
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def call(self, method: str, path: str, body: Json | None = None, expect: int = 200) -> Json:
        """What a write gives; {} where it gives nothing."""
        answer = await self.http.request(method, path, json=body)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else {}

    async def post(self, body: str, **fields: Any) -> Json:
        """A post of theirs."""
        return await self.call("POST", "/v1/posts", {"body": body, **fields}, 201)

    async def comment(self, post: Json, body: str, parent: Json | None = None) -> Json:
        """A comment of theirs, or an answer to one."""
        fields = {"body": body} | ({"parent": parent["id"]} if parent else {})
        return await self.call("POST", f"/v1/posts/{post['id']}/comments", fields, 201)
