"""Redis loses what it has, dies, hangs, refuses, or shows another history."""

from services.torture.scene import Fault
from services.torture.stage import STREAM

REDIS = frozenset({"redis"})


class Flushed(Fault):
    """FLUSHALL of a stream that was not empty."""

    name, family, touches = "redis-flushed", "redis", REDIS

    async def inject(self) -> None:
        """See Fault."""
        async with self.scene.stage.admin() as redis, redis.pipeline(transaction=True) as together:
            together.xlen(STREAM)
            together.flushall()
            together.exists(STREAM)
            before, _, after = await together.execute()
        if before and not after:
            self.evidence = f"FLUSHALL took {before} entries"


ALL: list[type[Fault]] = [Flushed]
