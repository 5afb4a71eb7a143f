"""Hears what is published on a channel of Redis's: lossy by nature, so whoever needs more asks Postgres as well."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from shared.eventlog.cancellation import Cancellation
from shared.eventlog.stream import UNAVAILABLE
from shared.telemetry import get_logger

log = get_logger(__name__)

PAUSE = 1.0
"""Seconds until Redis is tried again."""


async def hear(redis: Redis, channel: str, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Gives every message to `take`, one after the other, until cancelled. Redis away: what is said meanwhile is lost.

    What `take` raises because Redis is away means the same; anything else ends this.
    """
    cancellation = Cancellation()
    while True:
        cancellation.heed()
        try:
            await redis.initialize()  # a cluster's client has to know a node to listen at
            async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel)
                while True:
                    cancellation.heed()
                    if (message := await subscription.get_message(timeout=PAUSE)) is not None:
                        await take(message["data"])
        except UNAVAILABLE as error:
            log.debug("channel_not_heard", channel=channel, error=repr(error))
            await asyncio.sleep(PAUSE)
