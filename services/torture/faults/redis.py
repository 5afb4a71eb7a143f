"""Redis loses what it has, dies, hangs, refuses, or shows another history."""

import asyncio
import contextlib
import signal

from redis.asyncio import Redis as RedisClient
from redis.exceptions import RedisError

from services.torture.faults.outages import Down, Hung
from services.torture.process import Service, stopped
from services.torture.scene import Fault, until
from services.torture.stage import STREAM, stream_end

REDIS = frozenset({"redis"})
PROBE = "torture:probe"
NOTICED, REPAIRED = "chorus_live_gaps_noticed_total", "chorus_live_gaps_repaired_total"
MISSING = 'cause="missing"'
MEETS = 2.0
"""Seconds in which a reader that follows Redis meets a hole there."""


class Flushed(Fault):
    """FLUSHALL of a stream that was not empty."""

    name, family, touches = "redis-flushed", "redis", REDIS

    async def inject(self) -> None:
        """See Fault. A stream that was lost a moment ago has to be there again first."""

        async def emptied() -> bool:
            async with self.scene.stage.admin() as redis, redis.pipeline(transaction=True) as together:
                together.xlen(STREAM)
                together.flushall()
                together.exists(STREAM)
                before, _, after = await together.execute()
            if before and not after:
                self.evidence = f"FLUSHALL took {before} entries"
            return bool(self.evidence)

        async def there() -> bool:
            async with self.scene.stage.admin() as redis:
                return bool(await redis.xlen(STREAM))

        await until(there, "there is a stream to lose")
        await until(emptied, "it is lost")


class Killed(Fault):
    """kill -9, and an empty one in its place."""

    name, family, touches = "redis-killed", "redis", REDIS
    hold = (0.2, 2.5)  # long enough for processes and Postgres to die while there is no Redis

    async def inject(self) -> None:
        """See Fault."""
        server = self.scene.stage.redis
        pid = server.pid
        await asyncio.to_thread(server.send, signal.SIGKILL)
        if not server.running:
            self.evidence = f"pid {pid} died of SIGKILL"

    async def heal(self) -> None:
        """See Fault."""
        await self.scene.stage.run_redis(self.scene.stage.redis)


class OutOfMemory(Fault):
    """maxmemory is reached, and nothing may be evicted: reads go on, writes fail."""

    name, family, touches = "redis-out-of-memory", "redis", REDIS
    hold = (0.5, 2.5)

    async def inject(self) -> None:
        """See Fault."""
        async with self.scene.stage.admin() as redis:
            await redis.config_set("maxmemory-policy", "noeviction")
            await redis.config_set("maxmemory", 1)
            try:
                await redis.set(PROBE, "x")
            except RedisError as error:
                if "OOM" in str(error) or "maxmemory" in str(error):
                    self.evidence = await _refused(redis, error)

    async def heal(self) -> None:
        """See Fault."""
        async with self.scene.stage.admin() as redis:
            await redis.config_set("maxmemory", 0)


class ReadOnly(Fault):
    """Reads go on, writes fail: a replica whose primary is nowhere, or a primary that misses its replicas."""

    name, family, touches = "redis-read-only", "redis", REDIS
    hold = (0.5, 2.5)

    async def inject(self) -> None:
        """See Fault."""
        async with self.scene.stage.admin() as redis:
            if self.rng.random() < 0.5:
                await redis.replicaof("127.0.0.1", 1)
            else:
                await redis.config_set("min-replicas-to-write", 1)
            try:
                await redis.set(PROBE, "x")
            except RedisError as error:
                self.evidence = await _refused(redis, error)

    async def heal(self) -> None:
        """See Fault."""
        async with self.scene.stage.admin() as redis:
            await redis.replicaof("NO", "ONE")
            await redis.config_set("min-replicas-to-write", 0)


class Promoted(Fault):
    """A real replica that was cut off from its primary takes over: what came since is not in it."""

    name, family, touches = "redis-promoted", "redis", REDIS
    hold = (0.0, 0.5)

    async def inject(self) -> None:
        """See Fault."""
        from services.bench.stack import free_port

        stage = self.scene.stage
        primary, replica, port = stage.redis, stage.another_redis(), free_port()
        await stage.run_redis(replica)
        async with stage.admin() as redis, stage.admin(replica) as standby:
            await redis.config_set("bind", "127.0.0.1")
            await redis.config_set("port", port)
            await standby.replicaof("127.0.0.1", port)

            async def synced() -> bool:
                return bool((await standby.info("replication"))["master_link_status"] == "up")

            await until(synced, "the replica is in step")
            await standby.replicaof("NO", "ONE")
            held = await stream_end(standby)

            async def ahead() -> bool:
                return await stream_end(redis) != held

            await until(ahead, "the primary has gone on")
            lost = await stream_end(redis)
        await asyncio.to_thread(primary.send, signal.SIGKILL)
        stage.redis = replica
        cut = stage.publishing.cut() + stage.reading.cut()
        self.evidence = f"the replica ends at {held}, its primary had got to {lost}; {cut} connections cut"


class TrimmedPast(Fault):
    """A reader stands still while what it would read next is trimmed away; it meets the hole, and fills it."""

    name, family, touches = (
        "redis-trimmed-past-reader",
        "redis",
        frozenset({"redis", "notify", "sequencer", "postgres"}),
    )
    hold = (0.0, 0.3)

    async def inject(self) -> None:
        """See Fault. A reader that had left Redis meets nothing there: then once more."""
        victim = self.rng.choice(self.scene.stage.notifies)

        async def met() -> bool:
            before = await self.scene.stage.metric(victim, NOTICED, MISSING)
            said = await self._trim(victim)

            async def noticed() -> bool:
                return await self.scene.stage.metric(victim, NOTICED, MISSING) > before

            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MEETS):
                    await until(noticed, "it has met the hole")
                    self.evidence = said
            return bool(self.evidence)

        await until(met, "a reader meets what was trimmed before it")

        async def repaired() -> bool:
            noticed = await self.scene.stage.metric(victim, NOTICED, MISSING)
            return await self.scene.stage.metric(victim, REPAIRED, MISSING) == noticed

        await until(repaired, "every hole is filled")

    async def _trim(self, victim: Service) -> str:
        victim.signal(signal.SIGSTOP)
        try:
            async with self.scene.stage.admin() as redis:
                before = await stream_end(redis)

                async def ahead() -> bool:
                    return await stream_end(redis) != before and bool(await redis.xlen(STREAM))

                await until(ahead, "the stream has gone on")
                now = await stream_end(redis)
                trimmed = await redis.xtrim(STREAM, maxlen=0, approximate=False)
            if not (trimmed and stopped(victim.pid)):
                return ""
            return f"{victim.name} stood still at or before {before}; {trimmed} entries through {now} went; it noticed"
        finally:
            victim.signal(signal.SIGCONT)


async def _refused(redis: RedisClient, error: RedisError) -> str:
    """That a write was refused and a read answered all the same. Raises RedisError when it was not."""
    length = await redis.xlen(STREAM)
    return f"a write was refused ({error}), and a read answered: {length} entries"


ALL: list[type[Fault]] = [
    Flushed,
    Killed,
    Down,
    Hung,
    OutOfMemory,
    ReadOnly,
    Promoted,
    TrimmedPast,
]
