"""A member who writes without a pause while servers fail, and keeps what was acknowledged."""

import asyncio
import contextlib

import httpx

from tests.e2e.people import Member
from tests.eventlog.rig import until
from tests.production.readers import SLUG


class Writer:
    """Posts as fast as it is answered, and as it is told to wait; what was answered with 201 is kept."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self.made: list[str] = []
        self.refused = 0

    async def run(self) -> None:
        number = 0
        while True:
            number += 1
            with contextlib.suppress(httpx.TransportError):
                answer = await self._member.http.post("/v1/posts", json={"body": f"Number {number}. #{SLUG}"})
                assert answer.status_code in (201, 503), answer.text
                if answer.status_code == 201:
                    self.made.append(answer.json()["id"])
                else:
                    self.refused += 1
                    await asyncio.sleep(float(answer.headers["Retry-After"]))
            await asyncio.sleep(0.02)

    async def more(self, count: int) -> None:
        """So many more are acknowledged."""
        before = len(self.made)

        async def enough() -> bool:
            return len(self.made) >= before + count

        await until(enough, 40)
