"""Redis: what a stream holds is byte for byte what Postgres numbered, with no hole but where words were removed."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias

from redis.exceptions import ResponseError

from services.audit.finding import Finding, Tally
from services.audit.log import asked, head_of
from services.audit.reading import snapshot
from services.progress import Report
from shared.eventlog.entries import TOMBSTONE, read_rows
from shared.eventlog.position import Position
from shared.eventlog.stream import UNAVAILABLE, Stream
from shared.postgres import Connection
from shared.redis_client import open_redis

Held: TypeAlias = tuple[int, dict[bytes, bytes]]
"""What a stream holds at a position: the epoch of its id, and its fields."""

PAGE = 1_000
SETTLES = 2.0
"""Seconds after which a difference is looked at again: publishing, trimming and removing words follow Postgres."""
MOST = 1_000
"""Differences that are looked at again."""
ASKING = 5.0
"""Seconds for one page of Redis's: it serves others meanwhile."""


async def streams(connection: Connection, url: str, report: Report) -> list[Finding]:
    """One finding for all logs; Redis away or absent: it says so."""
    tally = Tally(
        "streams of Redis",
        "entry",
        "entries",
        means="Who reads the log from Redis gets other bytes than who reads it from Postgres, which is the truth.",
        do="Look at who else writes to this Redis. Then `redis-cli del 'chorus:log:{0}'`: the sequencer refills it "
        "from Postgres within a second; pages that took the wrong bytes have to fetch again.",
    )
    if not url:
        return [tally.skipped("CHORUS_REDIS_URL is not set: the log is read from Postgres alone")]
    redis: Any = open_redis(url)
    try:
        async with snapshot(connection):
            heads = [dict(row) async for row in asked.heads(connection)]
        for head in heads:
            await _one(connection, redis, head, tally, report)
    except UNAVAILABLE as error:
        return [tally.unknown(f"Redis can't be asked: {str(error) or type(error).__name__}")]
    finally:
        await redis.aclose()
    return [tally.finding()]


async def _one(connection: Connection, redis: Any, head: Mapping[str, Any], tally: Tally, report: Report) -> None:
    key = Stream(redis, head["log"]).key
    doubtful: dict[int, int] = {}
    after, before = "-", 0
    while found := await _range(redis, key, after):
        entries = {Position.parse(place).seq: (Position.parse(place).epoch, fields) for place, fields in found}
        wrong = await _compare(connection, head["log"], entries, before + 1 if before else min(entries))
        doubtful |= dict(list(wrong.items())[: MOST - len(doubtful)])
        after, before = f"({found[-1][0].decode()}", max(entries)
        tally.add(len(found))
        report("streams", before, head["head"])
    if doubtful:
        await asyncio.sleep(SETTLES)
        tally.add(0, await _still(connection, redis, head["log"], key, doubtful))


async def _range(redis: Any, key: str, after: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    async with asyncio.timeout(ASKING):
        try:
            return [(place, fields) for place, fields in await redis.xrange(key, min=after, count=PAGE)]
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            return []


async def _compare(connection: Connection, log: int, entries: Mapping[int, Held], first: int) -> dict[int, int]:
    """Positions of a page of the stream, from `first` on, that differ from Postgres, with the epoch to look under."""
    last = max(entries)
    async with snapshot(connection):
        rows = {row["seq"]: row for row in await read_rows(connection, log, first - 1, last, last - first + 1)}
        about = await head_of(connection, log)
    epoch = entries[last][0]
    return {
        seq: entries[seq][0] if seq in entries else epoch
        for seq in range(max(first, about["floor"]), last + 1)  # Postgres holds no more below its floor
        if _difference(log, seq, rows.get(seq), entries.get(seq), about["epoch"]) is not None
    }


def _difference(log: int, seq: int, row: Any, entry: Held | None, epoch: int) -> str | None:
    """How a position differs in the stream from Postgres; `epoch` is the log's."""
    if row is None:
        return None if entry is None else f"log {log}: {seq} is in the stream and was never numbered"
    if entry is None:
        return None if row["type"] == TOMBSTONE else f"log {log}: {seq} is missing in the stream"
    if entry[0] not in (row["epoch"], epoch):
        return f"log {log}: {seq} is in the stream under epoch {entry[0]}, numbered in {row['epoch']}"
    if entry[1] != _fields(row):
        return f"log {log}: {seq} (event {row['event_id']}) has other bytes in the stream"
    return None


def _fields(row: Any) -> dict[bytes, bytes]:
    return {
        b"i": str(row["event_id"]).encode(),
        b"t": row["type"].encode(),
        b"a": row["at"].encode(),
        b"c": row["channels"].encode(),
        b"p": bytes(row["payload"]),
    }


async def _still(connection: Connection, redis: Any, log: int, key: str, doubtful: Mapping[int, int]) -> list[str]:
    """Of what differed, what still does, and has not been trimmed away since."""
    still = []
    for seq, epoch in doubtful.items():
        place = f"{epoch}-{seq}"
        async with asyncio.timeout(ASKING):
            first = await redis.xrange(key, count=1)
            found = await redis.xrange(key, min=place, max=place)
        if not first or Position.parse(first[0][0]).seq > seq:
            continue
        async with snapshot(connection):
            row = next(iter(await read_rows(connection, log, seq - 1, seq, 1)), None)
            about = await head_of(connection, log)
        if seq < about["floor"]:
            continue
        said = _difference(log, seq, row, (epoch, found[0][1]) if found else None, about["epoch"])
        if said is not None:
            still.append(said)
    return still
