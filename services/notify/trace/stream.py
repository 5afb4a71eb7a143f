"""What one log's Redis stream holds, seen once; nothing here waits for Redis longer than a moment."""

import asyncio
from typing import Any

from redis.exceptions import ResponseError

from services.notify.trace.answer import InStream
from shared.eventlog.position import Position
from shared.eventlog.stream import CALL_TIMEOUT, UNAVAILABLE
from shared.redis_client import open_redis


class Streams:
    """Questions to the streams of all logs; after the first failure Redis is not asked again."""

    def __init__(self, url: str) -> None:
        self._redis: Any = open_redis(url) if url else None
        self.away: str | None = None if url else "CHORUS_REDIS_URL is not set"

    async def ends(self, log: int) -> tuple[str | None, str | None]:
        """The first entry still held and the last ever appended; None for what is not there."""
        about = await self._ask("xinfo_stream", _key(log))
        if not about:
            return None, None
        first = about["first-entry"]
        return (first[0].decode() if first else None), about["last-generated-id"].decode()

    async def holds(self, log: int, positions: list[str], ends: tuple[str | None, str | None]) -> InStream:
        """Whether an entry is there, under any of the positions that it may have there (one an epoch)."""
        if self._redis is None:
            return "no redis"
        for position in positions:
            if await self._ask("xrange", _key(log), position, position, 1):
                return "there"
        if self.away is not None:
            return "redis is away"
        first, last = (None if end is None else Position.parse(end) for end in ends)
        sought = Position.parse(positions[-1])
        if last is None or last < sought:
            return "not yet"
        return "trimmed" if first is None or sought < first else "missing"

    async def close(self) -> None:
        """Twice is safe."""
        if self._redis is not None:
            await self._redis.aclose()

    async def _ask(self, call: str, *arguments: Any) -> Any:
        if self.away is not None:
            return None
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await getattr(self._redis, call)(*arguments)
        except ResponseError as error:
            if "no such key" in str(error):
                return None
            self.away = str(error)
        except UNAVAILABLE as error:
            self.away = str(error) or type(error).__name__
        return None


def _key(log: int) -> str:
    return f"chorus:log:{{{log}}}"
