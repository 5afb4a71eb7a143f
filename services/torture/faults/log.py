"""What no process does by itself: entries published twice, events that nobody can read, clocks that jump."""

import base64
import signal
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from services.torture.scene import Fault, until
from services.torture.stage import STREAM

HOUR = 3600


class PublishedTwice(Fault):
    """The newest entries are appended to the stream again, under the same ids."""

    name, family, touches = "published-twice", "log", frozenset({"redis"})

    async def inject(self) -> None:
        """See Fault. A stream that was begun anew a moment ago has nothing to repeat yet."""

        async def repeated() -> bool:
            refused = 0
            async with self.scene.stage.admin() as redis:
                newest: Any = await redis.xrevrange(STREAM, count=20)
                for position, fields in reversed(newest):
                    try:
                        await redis.xadd(STREAM, fields, id=position)
                    except ResponseError as error:
                        refused += "equal or smaller" in str(error)
            self.evidence = f"{refused} repeats were refused by Redis" if refused else ""
            return refused > 0

        await until(repeated, "there is something to repeat")


class Undecodable(Fault):
    """An event whose payload is no JSON: its number is kept, it is parked, and the rest goes on."""

    name, family, touches = "undecodable-event", "log", frozenset({"log", "postgres"})

    async def inject(self) -> None:
        """See Fault."""
        connection = await self.scene.stage.connect()
        kind = self.rng.choice(("post.created", "comment.created", "mine.changed"))
        try:
            event_id: int = await connection.fetchval(
                "SELECT eventlog.append('tea', $1, ARRAY['topic:tea'], '{no json}'::bytea)", kind
            )
        finally:
            await connection.close()
        self.scene.oracle.undecodable.add(event_id)

        async def parked() -> bool:
            return event_id in await self.scene.ledger.dead_letters()

        await until(parked, f"event {event_id} is parked")
        self.evidence = f"{kind} {event_id} is numbered, and parked with its error"


class ClockMoved(Fault):
    """The wall clock of every process jumps by an hour, and back."""

    name, family = "clock-moved", "clock"
    touches = frozenset({"clock", "feed", "notify", "sequencer"})
    hold = (0.5, 2.0)

    async def inject(self) -> None:
        """See Fault. A fresh token says what time its maker thinks it is."""
        self.ahead = self.rng.choice((-HOUR, HOUR))
        before = await self._token_ends()
        self._move(self.ahead)

        async def moved() -> bool:
            return abs(await self._token_ends() - before - self.ahead) < HOUR / 2

        await until(moved, "the feed lives at another time")
        self.evidence = f"tokens end {self.ahead:+d} s from where they did"

    async def heal(self) -> None:
        """See Fault."""
        self._move(0)

    def _move(self, seconds: int) -> None:
        for service in self.scene.stage.services:
            service.clock.write_text(str(seconds), encoding="ascii")
            service.signal(signal.SIGUSR2)

    async def _token_ends(self) -> int:
        member = self.rng.choice(self.scene.generator.members)
        await member.sign_in(member.token)
        payload = member.token.split(".")[1]
        ends: int = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return ends


ALL: list[type[Fault]] = [PublishedTwice, Undecodable, ClockMoved]
