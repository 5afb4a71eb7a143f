"""Wall clocks that jump: an hour ahead and an hour back, in every process, each asked what time it is."""

import asyncio
import base64
import time
from functools import partial
from typing import Any

import msgspec
import websockets

from services.torture.http import Unreached
from services.torture.process import Service
from services.torture.scene import Fault, until

HOUR = 3600
AHEAD = "chorus_clock_ahead_seconds"
Json = dict[str, Any]


class ClockMoved(Fault):
    """The wall clock of every process jumps by an hour in one direction, in the other, and back."""

    name, family = "clock-moved", "clock"
    touches = frozenset({"clock", "feed", "notify", "sequencer"})
    hold = (0.2, 1.0)

    async def inject(self) -> None:
        """See Fault."""
        self.told: list[str] = []
        self.last = self.rng.choice((-HOUR, HOUR))
        await self._jump(-self.last)
        await asyncio.sleep(self.rng.uniform(*self.hold))
        await self._jump(self.last)

    async def heal(self) -> None:
        """See Fault."""
        await self._jump(0)
        self.evidence = "; ".join(self.told)

    async def _jump(self, seconds: int) -> None:
        """Every process says that it lives at that time."""
        services = self.scene.stage.services
        for service in services:
            service.set_clock(seconds)
        for service in services:
            await until(partial(self._lives_at, service, seconds), f"{service.name} is {seconds:+d} s off")
        self.told.append(f"{', '.join(service.name for service in services)} were {seconds:+d} s off")

    async def _lives_at(self, service: Service, seconds: int) -> bool:
        try:
            off = await {"feed": self._feed, "notify": self._notify, "sequencer": self._sequencer}[service.command](
                service
            )
        except (Unreached, websockets.WebSocketException):
            return False
        return abs(off - seconds) < HOUR / 2

    async def _feed(self, _: Service) -> float:
        """A token ends an hour after the moment in which its maker thinks it is."""
        return await self._token_ends() - HOUR - time.time()

    async def _sequencer(self, service: Service) -> float:
        """It compares itself with Postgres, whose clock stays."""
        return await self.scene.stage.metric(service, AHEAD)

    async def _notify(self, service: Service) -> float:
        """It says how long a token lasts; of a token that it takes for expired it does not."""
        ends = await self._token_ends()
        url = f"ws://127.0.0.1:{service.port}/v1/live"
        hello = msgspec.json.encode({"type": "hello", "id": 1, "token": self.member.token}).decode()
        async with (
            asyncio.timeout(10),
            websockets.connect(url, subprotocols=[websockets.Subprotocol("chorus.v1")], proxy=None) as socket,
        ):
            await socket.send(hello)
            welcome: Json = msgspec.json.decode(await socket.recv())
        return float(ends - welcome["expires_in"] - time.time())

    async def _token_ends(self) -> int:
        self.member = self.rng.choice(self.scene.generator.members)
        await self.member.sign_in(self.member.token)
        payload = self.member.token.split(".")[1]
        ends: int = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return ends


ALL: list[type[Fault]] = [ClockMoved]
