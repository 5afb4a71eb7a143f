"""The log as Postgres and Redis hold it, asked past everybody: dense, complete, alike, and who applied it."""

import asyncio
import contextlib
from bisect import bisect_right
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import RedisError

from services.torture.lives import Life
from services.torture.memory import Weight
from services.torture.stage import Stage

Json = dict[str, Any]
PATIENCE = 180.0
"""Seconds until everything committed must be numbered, published, and handled by the notifier."""


class Row(NamedTuple):
    """One numbered entry."""

    seq: int
    event_id: str
    type: str
    channels: frozenset[str]
    payload: bytes


class Heads(NamedTuple):
    """Where the log ends."""

    epoch: int
    seq: tuple[int, ...]


class Ledger:
    """Asks Postgres and Redis past everybody."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._known: list[list[Row]] = [[] for _ in range(stage.logs)]

    async def heads(self) -> Heads:
        """The log's end as Postgres has it."""
        rows = await self._stage.fetch("SELECT epoch, seq FROM eventlog.head ORDER BY log")
        return Heads(rows[0]["epoch"], tuple(row["seq"] for row in rows))

    async def settle(self) -> Heads:
        """Everything committed is numbered, published and handled. Raises TimeoutError that says what is not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            waiting = await self._waiting()
            if not waiting:
                return await self.heads()
            if loop.time() > deadline:
                raise TimeoutError(f"the log did not settle: {waiting}")
            await asyncio.sleep(0.1)

    async def _waiting(self) -> str:
        connection = await self._stage.connect()
        try:
            row = await connection.fetchrow(
                """SELECT (SELECT count(*) FROM eventlog.event) AS events,
                          (SELECT count(*) FROM eventlog.entry) AS entries,
                          (SELECT string_agg(epoch || '-' || seq, ',' ORDER BY log) FROM eventlog.head) AS heads,
                          (SELECT string_agg(seq::text, ',' ORDER BY log) FROM eventlog.head) AS seqs,
                          (SELECT string_agg(seq::text, ',' ORDER BY log) FROM notify.cursor) AS cursors,
                          (SELECT count(*) FROM notify.fanout_job) AS jobs"""
            )
            # Cursors pass over entries that concern no inbox at leisure: what matters is that nothing behind does.
            unhandled = await connection.fetchval(
                """SELECT count(*) FROM eventlog.entry x JOIN eventlog.event e ON e.id = x.event_id
                   JOIN notify.cursor c ON c.log = x.log AND x.seq > c.seq
                   WHERE e.type LIKE 'post.%' OR e.type LIKE 'comment.%' OR e.type = 'mine.changed'"""
            )
        finally:
            await connection.close()
        streams = await self._stream_ends()
        if row["events"] != row["entries"] or row["jobs"] or unhandled or row["cursors"] is None:
            return f"{dict(row)}, not handled: {unhandled}"
        return "" if streams == row["heads"].split(",") else f"streams end at {streams}, heads are {row['heads']}"

    async def _stream_ends(self) -> list[str]:
        ends = []
        async with self._stage.admin() as redis:
            for log in range(self._stage.logs):
                with contextlib.suppress(RedisError, OSError):
                    about: Any = await redis.xinfo_stream(key(log))
                    ends.append(about["last-generated-id"].decode())
        return ends

    async def rows(self) -> tuple[list[list[Row]], list[str]]:
        """Every entry of each log, dense from 1, also of days that retention took; and positions that have changed."""
        wrong: list[str] = []
        connection = await self._stage.connect()
        try:
            for log, known in enumerate(self._known):
                found = await connection.fetch("SELECT * FROM eventlog.read($1, 0, $2, 10000000)", log, 1 << 62)
                for r in found:
                    row = Row(
                        r["seq"], str(r["event_id"]), r["type"], frozenset(r["channels"].split("\n")), r["payload"]
                    )
                    if row.seq == len(known) + 1:
                        known.append(row)
                    elif not 0 < row.seq <= len(known) or known[row.seq - 1] != row:
                        was = known[row.seq - 1] if 0 < row.seq <= len(known) else "never there"
                        wrong.append(f"log {log} at {row.seq}: {row}, and it was {was}")
        finally:
            await connection.close()
        return self._known, wrong

    def weight(self) -> Weight:
        """Of all that was read so far."""
        sizes = [len(row.payload) for rows in self._known for row in rows]
        return Weight(len(sizes), sum(sizes), max(sizes, default=0))

    def known(self) -> list[int]:
        """How much of each log was read so far, for `forget`."""
        return [len(rows) for rows in self._known]

    def forget(self, known: list[int]) -> None:
        """Postgres went back to a moment at which that much of each log, or more, was there."""
        for rows, length in zip(self._known, known, strict=True):
            del rows[length:]

    async def density(self) -> list[str]:
        """What is wrong with the numbers: a hole, an event numbered twice or never."""
        wrong = []
        connection = await self._stage.connect()
        try:
            for log, seq in enumerate((await self.heads()).seq):
                row = await connection.fetchrow(
                    """SELECT count(*) AS entries, count(DISTINCT seq) AS seqs, count(DISTINCT event_id) AS events,
                              max(seq) AS last, min(seq) AS first,
                              floor
                       FROM eventlog.retained JOIN eventlog.entry USING (log)
                       WHERE log = $1 AND seq >= floor GROUP BY floor""",
                    log,
                )
                if row is None:
                    wrong.append(f"log {log} ends at {seq} and holds nothing")
                    continue
                held = seq - row["floor"] + 1
                whole = row["entries"] == row["seqs"] == row["events"] == held and row["last"] == seq
                if not whole or row["first"] != row["floor"]:
                    wrong.append(f"log {log} ends at {seq} and holds {dict(row)}")
                never = await connection.fetchval(
                    """SELECT count(*) FROM eventlog.event e WHERE log = $1
                       AND NOT EXISTS (SELECT FROM eventlog.entry x WHERE x.log = e.log AND x.event_id = e.id)""",
                    log,
                )
                if never:
                    wrong.append(f"log {log}: {never} events have no number")
        finally:
            await connection.close()
        return wrong

    async def streams(self) -> tuple[int, list[str]]:
        """How many entries Redis and Postgres both hold, and where they differ."""
        compared, wrong = 0, []
        connection = await self._stage.connect()
        try:
            async with self._stage.admin() as redis:
                for log in range(self._stage.logs):
                    floor = await connection.fetchval("SELECT floor FROM eventlog.retained WHERE log = $1", log)
                    entries: Any = await redis.xrange(key(log))
                    for position, fields in entries:
                        epoch, _, seq = position.decode().partition("-")
                        if int(seq) < floor:
                            continue  # retention took it
                        row = await connection.fetchrow(
                            "SELECT * FROM eventlog.read($1, $2, $3, 1)", log, int(seq) - 1, int(seq)
                        )
                        compared += 1
                        held = (fields[b"i"], fields[b"t"], fields[b"a"], fields[b"c"], fields[b"p"])
                        if row is None or held != _bytes(row):
                            wrong.append(f"log {log} at {epoch}-{seq}: Redis {held}, Postgres {row}")
        finally:
            await connection.close()
        return compared, wrong

    async def dead_letters(self) -> set[int]:
        """The ids of the events that the notifier could not handle."""
        connection = await self._stage.connect()
        try:
            return {row["event_id"] for row in await connection.fetch("SELECT event_id FROM notify.dead_letter")}
        finally:
            await connection.close()

    async def inboxes(self) -> list[str]:
        """Counts of unread that are not what stands there."""
        connection = await self._stage.connect()
        try:
            rows = await connection.fetch(
                """SELECT i.account_id, i.unread, count(n.id) FILTER (WHERE n.id > i.read_up_to) AS counted
                   FROM notify.inbox i LEFT JOIN notify.notification n ON n.account_id = i.account_id
                   GROUP BY i.account_id HAVING i.unread <> count(n.id) FILTER (WHERE n.id > i.read_up_to)"""
            )
        finally:
            await connection.close()
        return [f"inbox {row['account_id']} says {row['unread']} unread and has {row['counted']}" for row in rows]


class Channel(NamedTuple):
    """What a channel has on one log, in order, and which of it may be missing: counts that a later event supersedes."""

    rows: list[Row]
    superseded: set[int]


def by_channel(rows: list[list[Row]]) -> list[dict[str, Channel]]:
    """Each log's entries by channel."""
    found: list[dict[str, Channel]] = []
    for entries in rows:
        on: dict[str, list[Row]] = {}
        for row in entries:
            for channel in row.channels:
                on.setdefault(channel, []).append(row)
        found.append({channel: Channel(theirs, _superseded(theirs)) for channel, theirs in on.items()})
    return found


def judge(life: Life, logs: list[dict[str, Channel]], heads: Heads) -> str:
    """What a client should have applied and did not, or the other way round; empty when all is well.

    Only counts may be missing, and only where a later event tells newer ones of the same entity.
    """
    if life.epoch != heads.epoch or life.end is None:
        return ""
    held = {(one.log, one.seq): one for one in life.applied}
    for log, channels in enumerate(logs):
        on_channel = channels.get(life.channel, Channel([], set()))
        first = bisect_right(on_channel.rows, life.start[log], key=_seq)
        for row in on_channel.rows[first : bisect_right(on_channel.rows, life.end[log], key=_seq)]:
            one = held.pop((log, row.seq), None)
            if one is None and row.seq not in on_channel.superseded:
                return f"{life.who} missed {row.seq} {row.type} on {life.channel}, following {life.start} to {life.end}"
            if one is not None and one.event_id != row.event_id:
                return f"{life.who} got event {one.event_id} at {row.seq} of {life.channel}, the log has {row.event_id}"
    extra = [one for one in held.values() if one.seq > life.start[one.log]]
    return f"{life.who} applied {extra[:3]} on {life.channel}, which the log does not have" if extra else ""


def key(log: int) -> str:
    """A log's stream."""
    return f"chorus:log:{{{log}}}"


def _seq(row: Row) -> int:
    return row.seq


def _superseded(rows: list[Row]) -> set[int]:
    last: dict[tuple[str, str | None], int] = {}
    found: set[int] = set()
    for row in rows:
        if row.type == "counts.changed":
            event = msgspec.json.decode(row.payload)
            name = (event["post_id"], event.get("comment_id"))
            if name in last:
                found.add(last[name])
            last[name] = row.seq
    return found


def _bytes(row: Any) -> tuple[bytes, ...]:
    words = (str(row["event_id"]), row["type"], row["at"], row["channels"])
    return (*(word.encode() for word in words), row["payload"])
