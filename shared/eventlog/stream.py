"""One log's Redis stream: a replica whose ids are positions, so that a repeat is refused by Redis itself.

`last` is the one marker to trust: trimming and deleting are invisible to readers, and `max-deleted-entry-id` does not
show them. Every call raises RedisError, OSError or TimeoutError within CALL_TIMEOUT when Redis is of no use.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError, ResponseError

from shared.eventlog.entries import Entry, lines
from shared.eventlog.position import Position

WAKE_CHANNEL = "chorus:wake"

MAX_LENGTH = 200_000
"""Entries a stream keeps by default: some 100 MB of 200-byte events, three minutes at 1,000 events a second."""
CALL_TIMEOUT = 1.0
"""Seconds that any call may take. A Redis that is slower than that is away: Postgres answers in a millisecond."""
GLANCE_TIMEOUT = 0.25
"""Seconds that a read may take which waits for nothing, and beside which its reader looks at nothing else."""
PAGE_BYTES = 1 << 20
"""Payload of one script call: Redis serves nobody else meanwhile, and takes about 5 ms for it."""

UNAVAILABLE = (RedisError, OSError, TimeoutError)
"""What calls raise when Redis is away, stalled, read-only or out of memory."""

_HERE = Path(__file__).parent


class Fenced(Exception):
    """The stream is in a newer epoch than ours."""


class Gap(Exception):
    """The stream does not hold what comes before the page: it was flushed, cut back or failed over."""


Pairs: TypeAlias = list[tuple[Position, Entry | None]]
"""What a stream holds: positions with their entries, None for what can be no entry."""


class Reading(NamedTuple):
    """What a stream showed. `owner` is the installation whose Redis it was; an entry is None when it can't be one."""

    owner: str | None
    pairs: Pairs


class Stream:
    """The stream of log `log`, as `chorus:log:{n}`: the braces are a hash tag, so a cluster may spread the logs.

    `max_length` bounds it, roughly: Redis trims whole nodes of about a hundred entries.
    """

    def __init__(self, redis: "Redis", log: int, *, max_length: int = MAX_LENGTH) -> None:
        self.key = f"chorus:log:{{{log}}}"
        self.install_key = f"chorus:install:{{{log}}}"  # beside the stream: on its node, lost and kept with it
        self.max_length = max_length
        self._redis: Any = redis
        self._publish: AsyncScript = redis.register_script((_HERE / "publish.lua").read_text(encoding="utf-8"))
        self._begin: AsyncScript = redis.register_script((_HERE / "begin.lua").read_text(encoding="utf-8"))

    async def install_id(self) -> str | None:
        """The installation that this Redis belongs to; None when it belongs to none yet."""
        async with asyncio.timeout(CALL_TIMEOUT):
            found = await self._redis.get(self.install_key)
        return _name(found)

    async def claim(self, install_id: str) -> str:
        """The installation that this Redis belongs to, which is ours when it belonged to none."""
        async with asyncio.timeout(CALL_TIMEOUT):
            await self._redis.set(self.install_key, install_id, nx=True)
        return await self.install_id() or install_id

    async def last(self) -> Position | None:
        """The position last appended, whether or not its entry is still there; None when there is no stream."""
        async with asyncio.timeout(CALL_TIMEOUT):
            try:
                about = await self._redis.xinfo_stream(self.key)
            except ResponseError as error:
                if "no such key" in str(error):
                    return None
                raise
        return Position.parse(about["last-generated-id"])

    async def begin(self, at: Position) -> None:
        """Empties the stream and puts its end at `at`, where the next page follows. Raises Fenced."""
        await self._run(self._begin, [at.epoch, at.seq])

    async def publish(self, epoch: int, after: int, rows: Sequence[Any]) -> int:
        """Appends the entries that directly follow `after`; those already there are passed over. Returns the last seq.

        Rows are (…, event_id, type, at, channels, payload) as numbered. Raises Fenced, and Gap.
        """
        last = after
        for page in _pages(rows):
            arguments: list[Any] = [epoch, after, self.max_length]
            for row in page:
                arguments += row
            last = int(await self._run(self._publish, arguments))
            after += len(page)
        return last

    async def read(self, after: Position, *, count: int, block: float) -> Reading:
        """What comes after a position, oldest first; waits up to `block` < 1 second for it. Shows no holes."""
        # One round trip on one connection: what was read, and whose Redis that was.
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.xread({self.key: str(after)}, count=count, block=max(1, int(block * 1000)))
        pipeline.get(self.install_key)
        async with asyncio.timeout(CALL_TIMEOUT):
            found, owner = await pipeline.execute()
        return Reading(_name(owner), self._pairs(found))

    async def read_more(self, after: Position, *, count: int) -> Pairs:
        """What is there already after a position; does not wait, nor ask whose Redis this is. Within GLANCE_TIMEOUT."""
        async with asyncio.timeout(GLANCE_TIMEOUT):
            return self._pairs(await self._redis.xread({self.key: str(after)}, count=count))

    def _pairs(self, found: Any) -> Pairs:
        pairs = () if not found else found[self.key.encode()][0] if isinstance(found, dict) else found[0][1]
        return [_read(position, fields) for position, fields in pairs]

    async def erase(self, positions: Sequence[Position]) -> None:
        """Deletes entries; their positions stay taken."""
        if positions:
            async with asyncio.timeout(CALL_TIMEOUT):
                await self._redis.xdel(self.key, *map(str, positions))

    async def _run(self, script: AsyncScript, arguments: list[Any]) -> Any:
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await script(keys=[self.key], args=arguments)
        except ResponseError as error:
            reason = str(error)
            if reason.startswith("FENCED"):
                raise Fenced(reason) from error
            if reason.startswith("GAP"):
                raise Gap(reason) from error
            raise


def _pages(rows: Sequence[Any]) -> list[list[tuple[bytes | str, ...]]]:
    pages: list[list[tuple[bytes | str, ...]]] = []
    room = 0
    for *_, event_id, kind, at, channels, payload in rows:
        size = len(payload) + len(channels)
        if room < size or not pages:
            pages.append([])
            room = PAGE_BYTES
        room -= size
        pages[-1].append((str(event_id), kind, at, channels, payload))
    return pages


def _name(owner: bytes | None) -> str | None:
    return None if owner is None else owner.decode(errors="replace")


def _read(position: bytes, fields: dict[bytes, bytes]) -> tuple[Position, Entry | None]:
    at = Position.parse(position)
    try:
        when = fields[b"a"].decode()
        if datetime.fromisoformat(when).tzinfo is None:
            raise ValueError(when)
        return at, Entry(
            at.seq,
            int(fields[b"i"]),
            fields[b"t"].decode(),
            when,
            lines(fields[b"c"].decode()),
            fields[b"p"],
        )
    except (KeyError, ValueError):
        return at, None
