"""Asks every notify process about its sockets, over Redis's channels: who hears answers within a moment, or is told of
as silent. Lossy, and nothing else of a trace needs it.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from redis.asyncio import RedisCluster

from services.notify.live.testimony import CHANNEL, Place, Question, Testimony, answers_channel
from shared.eventlog.stream import UNAVAILABLE
from shared.redis_client import open_redis

PATIENCE = 2.0
"""Seconds in which processes answer: a busy one, with tens of thousands of sockets, needs some tenths."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; `heard`: how many heard the question, None where a cluster can't tell."""

    away: str | None = None
    heard: int | None = None
    testimonies: list[Testimony] = []


async def ask(url: str, installation: str, account: int | None, places: Sequence[Place]) -> Asked:
    """Every answer that came in PATIENCE seconds. Raises nothing for a Redis that is away: `away` says why."""
    if not url:
        return Asked(away="CHORUS_REDIS_URL is not set")
    question = Question(id=secrets.token_hex(8), installation=installation, account=account, places=list(places))
    redis: Any = open_redis(url)
    asking = _Asking(redis, question)
    try:
        async with asyncio.timeout(PATIENCE):
            await asking.run()
    except TimeoutError:
        if not asking.asked:
            return Asked(away=f"no answer in {PATIENCE:g} s")
    except UNAVAILABLE as error:
        return Asked(away=str(error) or type(error).__name__)
    finally:
        await redis.aclose()
    ours = sorted((each for each in asking.found if each.installation == installation), key=lambda each: each.process)
    others = len(asking.found) - len(ours)
    return Asked(heard=None if asking.heard is None else max(asking.heard - others, len(ours)), testimonies=ours)


class _Asking:
    def __init__(self, redis: Any, question: Question) -> None:
        self._redis = redis
        self._question = question
        self.asked = False
        self.heard: int | None = None
        self.found: list[Testimony] = []

    async def run(self) -> None:
        """Returns when everybody who heard has answered; where that is unknown, never."""
        await self._redis.initialize()
        async with self._redis.pubsub() as answers:
            await answers.subscribe(answers_channel(self._question.id))
            await answers.get_message(timeout=PATIENCE)  # that we are heard: from here no answer is missed
            heard = await self._redis.publish(CHANNEL, msgspec.json.encode(self._question))
            self.asked = True
            if not isinstance(self._redis, RedisCluster):  # which counts one node's listeners alone
                self.heard = int(heard)
            while self.heard is None or len(self.found) < self.heard:
                message = await answers.get_message(ignore_subscribe_messages=True, timeout=PATIENCE)
                if message is not None:
                    self.found.append(msgspec.json.decode(message["data"], type=Testimony))
