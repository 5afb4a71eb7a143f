"""Wakes the sequencer after a commit, without an answer ever waiting for Redis.

Wakes that fall together become one: it says "look", not "look at this".
"""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.eventlog import outbox


class Waker:
    """`wake()` returns at once; `run()` does the talking. Without Redis nothing happens: the sequencer polls."""

    def __init__(self, redis: "Redis | None") -> None:
        self._redis = redis
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """Something was committed."""
        self._asked.set()

    async def reaches_redis(self) -> bool:
        """Whether Redis answers; true where there is none to answer."""
        if self._redis is None:
            return True
        try:
            async with asyncio.timeout(1):
                return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await outbox.wake(self._redis)
