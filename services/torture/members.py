"""Members: accounts that the torture makes, their tokens, and signing in again when credentials have ended."""

import asyncio
import random
from typing import Any

from services.torture.http import Answer, Http, Unreached

Json = dict[str, Any]

PASSWORD = "a kettle, a lamp and a chair"  # noqa: S105 - of accounts that live for minutes
PAUSE = 0.05, 1.0
"""Seconds between two tries of a call that was not answered, first and at most."""
PATIENCE = 180.0
"""Seconds that a call is tried for; a fault lasts seconds, a machine may be slow."""


class GaveUp(Exception):
    """A call was not answered for PATIENCE seconds."""


class Member:
    """One account. Calls are tried until they are answered with something else than "not now"."""

    def __init__(self, http: Http, handle: str, rng: random.Random) -> None:
        self.handle = handle
        self.id = ""
        self.token = ""
        self._http = http
        self._rng = rng
        self._signing = asyncio.Lock()

    async def sign_up(self) -> None:
        """The account exists, and is signed in."""
        body = {"handle": self.handle, "display_name": self.handle.title(), "password": PASSWORD}
        answer = await persistent(self._http, "POST", "/v1/accounts", body, rng=self._rng)
        if answer.status == 201:
            self.id, self.token = answer.body["account"]["id"], answer.body["token"]
        else:  # an answer that got lost
            await self.sign_in("")

    async def sign_in(self, stale: str) -> None:
        """The token is another one than `stale`."""
        async with self._signing:
            if self.token != stale:
                return
            body = {"handle": self.handle, "password": PASSWORD}
            answer = await persistent(self._http, "POST", "/v1/sessions", body, rng=self._rng)
            if answer.status != 201:
                raise GaveUp(f"{self.handle} can't sign in: {answer}")
            self.id, self.token = answer.body["account"]["id"], answer.body["token"]

    async def call(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None, http: Http | None = None
    ) -> Answer:
        """The settled answer, as this member; signs in again when that is what is missing. `http`: another service."""
        while True:
            token = self.token
            answer = await persistent(http or self._http, method, path, body, rng=self._rng, token=token, key=key)
            if answer.status != 401:
                return answer
            await self.sign_in(token)
            await asyncio.sleep(self._rng.uniform(*PAUSE))  # clocks may disagree for a while


async def persistent(
    http: Http,
    method: str,
    path: str,
    body: Json | None = None,
    *,
    rng: random.Random,
    token: str | None = None,
    key: str | None = None,
) -> Answer:
    """The first answer that is not 5xx or 429: an unknown outcome is settled by asking for the same again."""
    loop = asyncio.get_running_loop()
    deadline, pause, last = loop.time() + PATIENCE, PAUSE[0], ""
    while loop.time() < deadline:
        try:
            answer = await http.call(method, path, body, token=token, key=key)
            if answer.status < 500 and answer.status != 429:
                return answer
            last = f"{answer.status} {answer.body}"
        except Unreached as error:
            last = str(error)
        await asyncio.sleep(rng.uniform(pause / 2, pause))
        pause = min(pause * 2, PAUSE[1])
    raise GaveUp(f"{method} {path} was not answered for {PATIENCE:g} s; last: {last}")
