"""What no process does by itself: entries published twice, and events that nobody can read."""

from typing import Any

import msgspec
from redis.exceptions import ResponseError

from services.torture.scene import Fault, until
from services.torture.stage import STREAM


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
    """An event whose payload is no JSON: it keeps its number, is parked, the doctor tells, and the rest goes on."""

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
        # Faults beside this one may give the doctor more to find: what it says of this kind is what counts.
        findings = msgspec.json.decode(await self.scene.stage.chorus("doctor", "--json", fails=True))
        letters = await self.scene.stage.fetch("SELECT FROM notify.dead_letter WHERE type = $1", kind)
        said = [each["found"] for each in findings if each["what"] == f"dead letter {kind}"]
        if not said or not said[0].startswith(f"{len(letters)} since "):
            raise AssertionError(f"{len(letters)} events of {kind} are parked, and the doctor says of them: {said}")
        self.evidence = f"{kind} {event_id} is numbered, and parked; the doctor says: {said[0]}"


ALL: list[type[Fault]] = [PublishedTwice, Undecodable]
