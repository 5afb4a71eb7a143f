"""Follow one log without a hole: from Redis while Redis has it, from Postgres for whatever it has not.

Redis is believed for what it shows, never for what it does not: each entry must follow the one before, and Postgres's
head is read beside it all the time. What another epoch is, Postgres alone decides.
"""

import asyncio
from typing import Any, Literal

import asyncpg
from redis.asyncio import Redis

from shared.clock import monotonic
from shared.eventlog.cancellation import Cancellation
from shared.eventlog.entries import TOMBSTONE, Entry, entry_of, floor, read_range, read_rows
from shared.eventlog.gaps import Cause, Gaps
from shared.eventlog.lag import Lag
from shared.eventlog.meeting import Meeting
from shared.eventlog.position import Position
from shared.eventlog.reads import PAGE, Read, reads_of
from shared.eventlog.stream import CALL_TIMEOUT, UNAVAILABLE, Pairs, Stream
from shared.eventlog.watch import Answer, Watch
from shared.postgres import POSTGRES_AWAY, Pool, acquire
from shared.telemetry import get_logger

__all__ = ["TOMBSTONE", "BehindFloor", "Entry", "EpochChanged", "Tail", "floor", "read_range"]

log_ = get_logger(__name__)

CHECK_EVERY = 0.25
"""Seconds between two looks at Postgres's head."""
WHOSE_EVERY = 1.0
"""Seconds between two questions whose Redis it is, while entries stream in; each read that waits asks."""
POSTGRES_POLL = 0.025
"""Seconds between two reads of an idle log from Postgres: as often as the sequencer looks by itself."""
PAUSE = 0.25
"""Seconds until Postgres is tried again when it is away."""


class EpochChanged(Exception):
    """Postgres may have lost history, and a new epoch was opened: what was read before need not be in it."""

    def __init__(self, new_epoch: int) -> None:
        self.new_epoch = new_epoch
        super().__init__(f"the log is in epoch {new_epoch} now")


class BehindFloor(Exception):
    """Entries that should come next are gone by retention; `floor` is the oldest position still held."""

    def __init__(self, after: int, floor: int) -> None:
        self.floor = floor
        super().__init__(f"entries {after + 1} to {floor - 1} are no longer held")


class Tail:
    """`async for batch in tail` gives non-empty lists of entries: dense, in order, each position once.

    Starts after `start`, None for the head of that moment. It goes on while Redis or Postgres is away; `redis` must not
    decode responses, None reads Postgres alone. Raises EpochChanged, again at every later step, and BehindFloor. A step
    may be cancelled. `switches` counts how often it went over to a source.
    """

    def __init__(self, log: int, *, pool: Pool, redis: "Redis | None" = None, start: Position | None = None) -> None:
        self.log = log
        self.position = start or Position(0, 0)
        self.pg_head = self._asked_from = self.position.seq
        self.source: Literal["redis", "postgres"] = "postgres"
        self._pool = pool
        self._reads = None if redis is None else reads_of(redis, log)
        self._heads = Watch(self._read_head, CHECK_EVERY)
        self._redis_ends = Watch(self._read_redis_end, CHECK_EVERY)
        self._install_id: str | None = None
        self._begun, self._at_head = False, start is None
        self._reading: Read | None = None
        self._held: Pairs = []  # read from Redis, beyond a hole
        self._lag = Lag(CHECK_EVERY)
        self._streaming = self._timed_out = False  # what the last read of Redis did
        self._whose_at = self._asked_at = float("-inf")  # when Redis was ours, and when it was asked last
        self.meeting = Meeting(self.position.seq)
        self._missed = ""  # why Postgres did not answer last, as it was logged
        self.switches, self.gaps = {"redis": 0, "postgres": 0}, Gaps()

    def __aiter__(self) -> "Tail":
        return self

    async def __anext__(self) -> list[Entry]:
        cancellation = Cancellation()
        while not self._begun:
            cancellation.heed()
            await self._begin()
        while True:
            cancellation.heed()
            if (answer := self._heads.poll()) is not None:
                self._take_head(answer)
            batch = await (self._from_redis() if self.source == "redis" else self._from_postgres())
            if batch:
                self.position = Position(self.position.epoch, batch[-1].seq)
                self.meeting.reached(self.position.seq)
                self.gaps.passed(self.position.seq)
                return batch

    async def aclose(self) -> None:
        """Nothing is under way any more; the tail may be taken up again. Twice is safe."""
        self._stop_reading()
        await self._heads.aclose()
        await self._redis_ends.aclose()

    async def _begin(self) -> None:
        answer = await self._heads.ask_now()
        if answer.value is None:
            await self._postgres_away(answer.error)
            return
        if self._at_head:
            self.position = Position(*answer.value)
        self._take_head(answer)
        if self._reads is not None:
            self._take_redis_end(await self._redis_ends.ask_now())
        self._begun = True

    # Postgres's head: what must have come, and in which epoch we are.

    async def _read_head(self) -> tuple[int, int]:
        self._asked_from = self.position.seq
        async with acquire(self._pool) as connection:
            if self._install_id is None:
                self._install_id = str(await connection.fetchval("SELECT id FROM eventlog.installation"))
            row = await connection.fetchrow("SELECT epoch, seq FROM eventlog.head WHERE log = $1", self.log)
        if row is None:
            raise LookupError(f"there is no log {self.log}")
        return row["epoch"], row["seq"]

    def _take_head(self, answer: Answer[tuple[int, int]]) -> None:
        if isinstance(answer.error, LookupError):
            raise answer.error
        if answer.value is None:
            return
        epoch, seq = answer.value
        if epoch != self.position.epoch:
            raise EpochChanged(epoch)
        self.pg_head, self._missed = seq, ""
        answered = self._reading is not None and self._reading.task.done()  # and not taken up yet
        if self.source == "redis" and not answered and self._lag.judge(self.position.seq, seq):
            self.gaps.notice("behind", seq)
            self._leave_redis("behind")
        if seq >= self._asked_from:  # else a standby's, which lacks what we have read: to stand there is to meet nobody
            self.meeting.look(answer.asked_at, seq)
            self.meeting.reached(self.position.seq)

    async def _meet_head(self) -> None:
        answer = await self._heads.ask_now()
        if answer.value is None:
            await self._postgres_away(answer.error)
        self._take_head(answer)

    async def _postgres_away(self, error: Exception | None) -> None:
        if isinstance(error, LookupError) or not isinstance(error, POSTGRES_AWAY):
            raise error or AssertionError("neither a value nor an error")
        again = self._missed == (missed := type(error).__name__)
        if again and isinstance(error, asyncpg.SyntaxOrAccessError):  # once, a restore may be replacing the table
            raise error
        if not again:  # told once, not at each of four tries a second
            log_.warning("tail_without_postgres", log=self.log, error=repr(error))
            self._missed = missed
        await asyncio.sleep(PAUSE)

    # Redis: fast, and checked.

    async def _from_redis(self) -> list[Entry]:
        pairs = [pair for pair in self._held if pair[0].seq > self.position.seq]
        self._held = []
        if not pairs and not (pairs := await self._read_on()):
            return []
        if pairs[0][0].epoch != self.position.epoch:
            self._leave_redis("another epoch")
            await self._meet_head()
            return []
        batch = self._following(pairs)
        if len(batch) < len(pairs):
            self._held = pairs[len(batch) :]
        if batch:
            return batch
        at, _ = pairs[0]
        if at.seq > self.position.seq + 1:
            return await self._fill("missing", at.seq - 1)
        log_.error("stream_entry_malformed", log=self.log, at=str(at))
        return await self._fill("malformed", at.seq)

    async def _read_on(self) -> Pairs:
        """What Redis shows next; nothing when it shows nothing yet, or was left. Meanwhile the heads are looked at."""
        if self._reading is None:
            assert self._reads is not None  # noqa: S101 - we follow it
            self._lag.asked()
            if self._streaming and monotonic() - self._whose_at < WHOSE_EVERY:
                return await self._read_more(self._reads.stream)
            self._reading = self._reads.join(self.position)
            self._asked_at = monotonic()
        if not await self._heads.beside(self._reading.task):
            return []
        reading, self._reading = self._reading, None
        try:
            owner, pairs = reading.task.result()
        except UNAVAILABLE as error:
            # Too long, and told so late: our own busy loop did that; the heads judge what Redis owes meanwhile.
            late = monotonic() - self._asked_at > CALL_TIMEOUT * 1.1
            self._timed_out = isinstance(error, TimeoutError) and (late or not self._timed_out)
            if not self._timed_out:
                self._leave_redis(repr(error))
            return []
        if owner != self._install_id:
            self._leave_redis(f"it belongs to {owner}")
            return []
        self._whose_at = monotonic()
        return self._answered(pairs)

    async def _read_more(self, stream: Stream) -> Pairs:
        """While entries stream in, the shortest way to those that are there: each turn of a busy loop costs a slice."""
        try:
            return self._answered(await stream.read_more(self.position, count=PAGE))
        except UNAVAILABLE:
            self._streaming = False  # the read that waits finds out what this is
            return []

    def _answered(self, pairs: Pairs) -> Pairs:
        self._streaming, self._timed_out = bool(pairs), False
        self._lag.answered(more=len(pairs) == PAGE)
        return pairs

    def _following(self, pairs: Pairs) -> list[Entry]:
        """The entries that follow our position without a hole, in our epoch."""
        first = self.position.seq + 1
        batch: list[Entry] = []
        for (epoch, seq), entry in pairs:
            if entry is None or epoch != self.position.epoch or seq != first + len(batch):
                break
            batch.append(entry)
        return batch

    def _leave_redis(self, why: str) -> None:
        log_.warning("tail_left_redis", log=self.log, why=why, at=str(self.position))
        self.source, self._held, self._streaming = "postgres", [], False
        self.switches["postgres"] += 1
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reads is not None and self._reading is not None:
            self._reads.leave(self._reading)
            self._reading = None

    async def _read_redis_end(self) -> Position | None:
        if self._reads is None or await self._reads.stream.install_id() != self._install_id:
            return None
        return await self._reads.stream.last()

    def _take_redis_end(self, answer: Answer[Position | None]) -> None:
        end = answer.value
        # Not `>= position`: under load that has moved on since Redis was asked, and we would never come back.
        if end is not None and end.epoch == self.position.epoch and end.seq >= self.pg_head:
            log_.info("tail_follows_redis", log=self.log, at=str(self.position))
            self.source = "redis"
            self.switches["redis"] += 1
            self._lag.clear()

    # Postgres: slower, and complete.

    async def _from_postgres(self) -> list[Entry]:
        if self._reads is not None and (answer := self._redis_ends.poll()) is not None:
            self._take_redis_end(answer)
        batch = await self._next_of_postgres(2**62)
        if not batch:
            await asyncio.sleep(POSTGRES_POLL)
        return batch

    async def _fill(self, cause: Cause, last: int) -> list[Entry]:
        """What Redis left out, up to `last`. When Postgres has nothing there either, Redis is not ours to believe."""
        self.gaps.notice(cause, last)
        batch = await self._next_of_postgres(last)
        if not batch:
            self._leave_redis("ahead of Postgres")
            await self._meet_head()
        return batch

    async def _next_of_postgres(self, last: int) -> list[Entry]:
        try:
            async with acquire(self._pool) as connection:
                rows = await read_rows(connection, self.log, self.position.seq, last, PAGE)
                held = await floor(connection, self.log) if self._lacks(rows) else 0
        except POSTGRES_AWAY as error:
            await self._postgres_away(error)
            return []
        if held > self.position.seq + 1:
            raise BehindFloor(self.position.seq, held)
        if rows and rows[-1]["epoch"] > self.position.epoch:
            rows = [row for row in rows if row["epoch"] <= self.position.epoch]
            if not rows:
                await self._meet_head()
        for n, row in enumerate(rows):
            if row["seq"] != self.position.seq + 1 + n:
                raise AssertionError(f"log {self.log} has no entry {self.position.seq + 1 + n}")
        return [entry_of(row) for row in rows]

    def _lacks(self, rows: list[Any]) -> bool:
        """Whether what comes next is missing from rows that should begin with it."""
        return rows[0]["seq"] != self.position.seq + 1 if rows else self.pg_head > self.position.seq
