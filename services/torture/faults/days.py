"""The log's days: one is dropped behind a long writer, and another has no partition when its first event comes."""

import asyncio
import datetime
from functools import partial

import asyncpg
from asyncpg.transaction import Transaction

from services.torture.scene import Fault, until
from services.torture.stage import Connection, Stage

LAID = range(10, 4, -1)
"""How many days ago the old days were that a run begins with; three are kept."""
LATE, EARLY = "torture.late", "torture.early"
_INSERT = """INSERT INTO eventlog.event (log, at, type, channels, payload)
SELECT log, $1, $2, ARRAY['topic:tea'], '{}' FROM eventlog.log RETURNING id"""
_NUMBERED = "SELECT count(DISTINCT event_id) AS numbered FROM eventlog.entry WHERE event_id = ANY ($1::bigint[])"
_WAITS = """SELECT count(*) AS waiting FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted
AND mode = 'AccessExclusiveLock' AND relation = 'eventlog.event'::regclass AND application_name = 'chorus publisher'"""
_FRESH = """SELECT min(day) AS day FROM eventlog.days() day WHERE day < (now() AT TIME ZONE 'UTC')::date - 4
AND NOT EXISTS (SELECT FROM eventlog.event e WHERE e.at >= day AND e.at < day + 1 AND e.type IN ($1, $2))"""
_AGE = """UPDATE eventlog.entry SET numbered_at = numbered_at - interval '9 days'
WHERE at >= $1 AND at < $1 + interval '1 day'"""
_COMING = "SELECT day FROM eventlog.days() day WHERE day > (now() AT TIME ZONE 'UTC')::date ORDER BY day"
_DROP = "DROP TABLE IF EXISTS eventlog.event_{day}, eventlog.entry_{day}"
"""Of days to come, which are empty."""


async def lay_old_days(stage: Stage) -> None:
    """The log begins with some days that retention will be told to drop: its first entries are theirs."""
    for ago in LAID:
        day = _noon(_today() - datetime.timedelta(days=ago))
        await stage.fetch("SELECT eventlog.make_day($1)", day.date())
        ids = [row["id"] for _ in range(3) for row in await stage.fetch(_INSERT, day, "torture.old")]
        await until(lambda ids=ids: _numbered(stage, ids), f"the events of {day.date()} are numbered")  # type: ignore[misc]


class Day(Fault):
    """What happens to a day."""

    family, touches = "days", frozenset({"postgres", "sequencer"})

    async def look_after_days(self) -> None:
        """Some sequencer starts, which is when it looks after the days; then every ten minutes, which we don't have."""
        self.keeper = self.rng.choice(self.scene.stage.sequencers)
        self.said = self.keeper.log_size()
        await self.scene.stage.restart(self.keeper)

    async def again_if_it_gave_up(self) -> None:
        """A round that got no lock in time is not made again for ten minutes: so somebody starts once more."""
        if self.keeper.said("retention_failed", self.said):
            await self.look_after_days()

    async def days(self) -> list[datetime.date]:
        """Those that have a partition."""
        return [row["day"] for row in await self.scene.stage.fetch("SELECT day FROM eventlog.days() day")]


class BehindWriter(Day):
    """Retention wants a day into which a long transaction has written."""

    hold = (0.0, 0.3)
    _writer: "Connection | None" = None

    async def inject(self) -> None:
        """See Fault."""
        stage = self.scene.stage
        [row] = await stage.fetch(_FRESH, LATE, EARLY)
        self.day: datetime.date = row["day"] or (await self.days())[0] - datetime.timedelta(days=1)
        await stage.fetch("SELECT eventlog.make_day($1)", self.day)
        self._writer = await stage.connect()
        self._transaction = self._writer.transaction()
        await self._transaction.start()
        self.ids = [row["id"] for row in await self._writer.fetch(_INSERT, _noon(self.day), LATE)]
        await stage.fetch(_AGE, datetime.datetime.combine(self.day, datetime.time(), datetime.UTC))
        await self.look_after_days()

        async def waits() -> bool:
            await self.again_if_it_gave_up()
            return bool((await stage.fetch(_WAITS))[0]["waiting"])

        await until(waits, "retention waits for the writer")

    async def heal(self) -> None:
        """See Fault."""
        if self._writer is not None:
            await self.end(self._transaction)
            await self._writer.close()
            await self.look()

    async def end(self, writing: Transaction) -> None:
        """How the transaction ends."""
        await writing.rollback()

    async def look(self) -> None:
        """What becomes of the day."""


class KeptForWriter(BehindWriter):
    """A day was to go, and somebody who wrote into it commits at last: it stays, with what he wrote."""

    name = "day-kept-for-writer"

    async def end(self, writing: Transaction) -> None:
        """See BehindWriter."""
        await writing.commit()

    async def look(self) -> None:
        """See BehindWriter."""
        stage = self.scene.stage
        await until(lambda: _numbered(stage, self.ids), "what the writer committed is numbered")
        await self.look_after_days()

        async def looked() -> bool:
            await self.again_if_it_gave_up()
            return self.keeper.said("day_still_needed", self.said) > 0

        await until(looked, "retention has looked again")
        if self.day not in await self.days():
            raise AssertionError(f"{self.day} went with {self.ids}, which were committed into it")
        self.evidence = f"retention waited for the writer, {self.day} stayed with what he committed ({self.ids})"


class DroppedBehindWriter(BehindWriter):
    """A day goes behind somebody who wrote into it for long, and has given up."""

    name = "day-dropped-behind-writer"

    async def look(self) -> None:
        """See BehindWriter."""

        async def gone() -> bool:
            await self.again_if_it_gave_up()
            return self.day not in await self.days()

        await until(gone, "the day goes once its writer has given up")
        floors = [
            row["floor"] for row in await self.scene.stage.fetch("SELECT floor FROM eventlog.retained ORDER BY log")
        ]
        self.evidence = f"retention waited for the writer, who gave up, and {self.day} went; the floors are {floors}"


class NoTomorrow(Day):
    """Nobody made the coming days, and events of one come: they are kept aside, and moved while more of them come."""

    name = "no-partition-for-tomorrow"
    hold = (0.3, 1.0)
    _writing: "asyncio.Task[None] | None" = None

    async def inject(self) -> None:
        """See Fault. Postgres's clock is not ours to move: a day that is over stands for the one that has begun."""
        stage = self.scene.stage
        self.coming = len(await stage.fetch(_COMING))
        await until(self._none_comes, "no day to come is there")
        self.day = (await self.days())[0] - datetime.timedelta(days=1)
        self.ids: list[int] = []
        self._enough = asyncio.Event()
        self._writing = asyncio.create_task(self._write())

        async def aside() -> bool:
            [row] = await stage.fetch(
                "SELECT count(*) AS kept FROM eventlog.entry_default WHERE at = $1", _noon(self.day)
            )
            return bool(row["kept"])

        await until(aside, f"events of {self.day} are numbered without a partition")

        async def told() -> bool:
            await self._none_comes()
            ahead = [await stage.metric(each, "chorus_log_days_ahead") for each in stage.sequencers]
            used = [await stage.metric(each, "chorus_log_default_partition_used") for each in stage.sequencers]
            return not any(ahead) and all(used)

        await until(told, "/metrics tells that days lack")

    async def heal(self) -> None:
        """See Fault."""
        if self._writing is None:
            return
        before = len(self.ids)
        [row] = await self.scene.stage.fetch("SELECT count(*) AS kept FROM eventlog.entry_default")
        await until(partial(self._at_once, f"SELECT eventlog.make_day('{self.day}')"), f"{self.day} is made")
        await self.look_after_days()

        async def made() -> bool:
            await self.again_if_it_gave_up()
            return bool(len(await self.scene.stage.fetch(_COMING)) >= self.coming)

        await until(made, "the coming days are there again")
        self._enough.set()
        await self._writing
        await until(lambda: _numbered(self.scene.stage, self.ids), "all of them are numbered")
        if (
            left := await self.scene.stage.fetch("SELECT at FROM eventlog.event_default")
        ) or self.day not in await self.days():
            raise AssertionError(f"{len(left)} events were not moved to {self.day}")
        self.evidence = (
            f"{self.coming} days ahead were gone, {row['kept']} entries stood in the default partition; their day was "
            f"made, and they were moved to it, while {len(self.ids) - before} more came"
        )

    async def _none_comes(self) -> bool:
        """Whether no coming day is there; a sequencer that has only just started makes them again meanwhile."""
        for row in await self.scene.stage.fetch(_COMING):
            await self._at_once(_DROP.format(day=row["day"].strftime("%Y%m%d")))
        return not await self.scene.stage.fetch(_COMING)

    async def _at_once(self, statement: str) -> bool:
        """As retention does it: with a lock that comes at once, or not now."""
        connection = await self.scene.stage.connect()
        try:
            await connection.execute("SET lock_timeout = '200ms'")
            await connection.execute(statement)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            return False
        finally:
            await connection.close()
        return True

    async def _write(self) -> None:
        while not self._enough.is_set():
            self.ids += [row["id"] for row in await self.scene.stage.fetch(_INSERT, _noon(self.day), EARLY)]
            await asyncio.sleep(0.02)


async def _numbered(stage: Stage, ids: list[int]) -> bool:
    [row] = await stage.fetch(_NUMBERED, ids)
    return bool(row["numbered"] == len(ids))


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _noon(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(12), datetime.UTC)


ALL: list[type[Fault]] = [KeptForWriter, DroppedBehindWriter, NoTomorrow]
