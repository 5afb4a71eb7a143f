"""A process that publishes events at a rate: ten a transaction through eventlog.append, each stamped before the INSERT.

Never catches up by stamping early: a transaction that starts late is stamped late, and the rate reached is reported.
After every commit it sends the same lossy wake as the feed. Talks like tools.Worker: "go START FROM UNTIL".
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import count
from statistics import median
from typing import Any

import asyncpg
import msgspec
import uvloop

from shared.eventlog.stream import WAKE_CHANNEL
from shared.redis_client import open_redis

BATCH = 10
HELD = 0.97
"""Share of the rate that must have been published: fewer events would flatter whoever delivers them."""
CONNECTIONS = 4
"""Enough for 300 transactions a second at several milliseconds each; more would only compete for the two cores."""

_APPEND = """
SELECT eventlog.append(e.key, 'bench.tick', ARRAY[e.channel], e.payload)
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS e(key, channel, payload)
"""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to publish: `rate` events a second over the channels in turn, `size` bytes of payload each."""

    database_url: str
    redis_url: str
    channels: list[str]
    rate: float
    size: int = 200


class Sent(msgspec.Struct, kw_only=True):
    """What was published with stamps in the window, and what that took."""

    events: int = 0
    seconds: float = 0
    rate: float = 0
    commit_p50_ms: float = 0
    commit_p99_ms: float = 0
    cpu: float = 0

    def held(self, rate: float) -> bool:
        """Whether the rate was kept; a transaction more or less at either edge of the window is chance."""
        wanted = rate * self.seconds
        return self.events >= min(HELD * wanted, wanted - 2 * BATCH)


def too_slow(windows: Sequence[Sent], rate: float) -> str | None:
    """That a window's publisher did not hold the rate, in words; None when all did."""
    if all(sent.held(rate) for sent in windows):
        return None
    reached = min(sent.rate for sent in windows)
    return f"the publisher reached {reached:,.0f} of {rate:,} events/s: commits are too slow"


def payload(size: int, number: int) -> bytes:
    """An event of `size` bytes, stamped now with microseconds since 1970."""
    start = b'{"t":%d,"n":%d,"pad":"' % (time.time_ns() // 1000, number)
    return start + b"x" * (size - len(start) - 2) + b'"}'


class Publisher:
    """Runs one Plan over a few connections."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._numbers = count()
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self._redis = open_redis(plan.redis_url)
        self._running: set[asyncio.Task[None]] = set()
        self._commits: list[float] = []
        self._sent = Sent()

    async def open(self) -> None:
        """Connected, with the statement prepared."""
        for _ in range(CONNECTIONS):
            connection = await asyncpg.connect(self._plan.database_url)
            self._free.put_nowait((connection, await connection.prepare(_APPEND)))
        await self._redis.ping()

    async def run(self, start_us: int, from_us: int, until_us: int) -> Sent:
        """Publish from `start_us` to `until_us`; what is stamped from `from_us` on is counted."""
        interval = BATCH / self._plan.rate * 1e6
        cpu = 0.0
        for number in count():
            due = start_us + number * interval
            if due >= until_us:
                break
            await asyncio.sleep(max(0, due / 1e6 - time.time()))
            if not cpu and due >= from_us:
                cpu = time.process_time()
            worker = await self._free.get()
            if time.time() * 1e6 >= until_us:
                self._free.put_nowait(worker)
                break
            task = asyncio.create_task(self._transact(worker, from_us, until_us))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await asyncio.gather(*self._running)
        ordered = sorted(self._commits)
        self._sent.seconds = (until_us - from_us) / 1e6
        self._sent.rate = self._sent.events / self._sent.seconds
        self._sent.commit_p50_ms = 1000 * median(ordered) if ordered else 0
        self._sent.commit_p99_ms = 1000 * ordered[int(len(ordered) * 0.99)] if ordered else 0
        self._sent.cpu = time.process_time() - cpu
        return self._sent

    async def _transact(self, worker: Any, from_us: int, until_us: int) -> None:
        _, statement = worker
        numbers = [next(self._numbers) for _ in range(BATCH)]
        channels = [self._plan.channels[number % len(self._plan.channels)] for number in numbers]
        began = time.time()
        payloads = [payload(self._plan.size, number) for number in numbers]
        await statement.fetch(channels, channels, payloads)  # a statement of its own is a transaction of its own
        self._free.put_nowait(worker)
        self._commits.append(time.time() - began)
        self._sent.events += sum(from_us <= int(one[5:21]) < until_us for one in payloads)
        await self._redis.publish(WAKE_CHANNEL, b"")


async def serve(plan: Plan) -> None:
    """Connect, say so, take one command, publish, report."""
    publisher = Publisher(plan)
    await publisher.open()
    print('{"ready":true}', flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    if line.startswith("go "):
        start, since, until = map(int, line.split()[1:])
        print(msgspec.json.encode(await publisher.run(start, since, until)).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(serve(msgspec.json.decode(sys.argv[1].encode(), type=Plan)))
