"""Property: whatever transactions do beside each other and whoever numbers, the log equals what was committed.

Every step is one call on one connection, so an interleaving is exactly what hypothesis chose, and shrinks.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.eventlog.entries import read_range
from tests.eventlog.rig import Connection, Rig, append
from tests.servers import Database

WRITERS, ENTITIES, SEQUENCERS = 4, 3, 2
NOT_THE_LEADER = (asyncpg.SerializationError, asyncpg.UniqueViolationError)
Do = Literal["xid", "write", "savepoint", "commit", "rollback", "number", "look", "race"]


class Step(NamedTuple):
    """`who` is a writer, or a sequencer; `entity` what a write is about."""

    do: Do
    who: int
    entity: int


ACTIONS: list[Do] = ["write"] * 4 + ["number"] * 3 + ["commit"] * 2 + ["xid", "savepoint", "rollback", "look", "race"]  # type: ignore[assignment]

steps = st.lists(
    st.builds(Step, st.sampled_from(ACTIONS), st.integers(0, WRITERS - 1), st.integers(0, ENTITIES - 1)),
    min_size=25,  # shorter ones seldom number between two commits, and let a forgotten late commit pass
    max_size=60,
)


class World:
    """Writers and sequencers on one database; what a run of steps appends stands after what earlier runs did."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    async def open(self) -> None:
        async with self.rig.pool.acquire() as connection:
            await connection.execute("CREATE TABLE entity (id int PRIMARY KEY, version int NOT NULL)")
            await connection.execute("INSERT INTO entity SELECT n, 0 FROM generate_series(0, 9) n")
        self.writers = [await self.rig.connect(self.rig.database.url_direct) for _ in range(WRITERS)]
        self.sequencers = [await self.rig.numberer() for _ in range(SEQUENCERS)]
        self.epoch = await self.rig.epoch()

    async def play(self, steps: list[Step]) -> None:
        self.before = [(await self.rig.head(log)).seq for log in range(self.rig.logs)]
        self.open_writers: dict[int, list[tuple[int, int, int]]] = {}  # writer -> its (entity, version, event id)
        self.locked: dict[int, int] = {}  # entity -> writer
        self.looking: dict[int, bool] = {}  # sequencer -> whether somebody numbered since it looked
        self.committed: list[tuple[int, int, int]] = []
        try:
            for step in steps:
                await self._do(step)
            for writer in list(self.open_writers):
                await self._end(writer, "commit")
            for sequencer in range(SEQUENCERS):
                await self._number(sequencer)
            await self._number(0)
            await self._check()
        finally:
            for connection in (*self.writers, *self.sequencers):
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")

    async def _do(self, step: Step) -> None:
        match step.do:
            case "xid":
                await (await self._begun(step.who)).fetchval("SELECT pg_current_xact_id()")
            case "write" | "savepoint":
                await self._write(step.who, step.entity, undone=step.do == "savepoint")
            case "commit" | "rollback":
                await self._end(step.who, step.do)
            case "number":
                await self._number(step.who % SEQUENCERS)
            case "look":
                await self._look(step.who % SEQUENCERS)
            case "race":
                await self._race()

    async def _begun(self, who: int) -> Connection:
        if who not in self.open_writers:
            self.open_writers[who] = []
            await self.writers[who].execute("BEGIN")
        return self.writers[who]

    async def _write(self, who: int, entity: int, *, undone: bool) -> None:
        """The entity's row first, its event last; with `undone` in a savepoint that is rolled back."""
        if self.locked.get(entity, who) != who:
            return  # it would wait for the other writer, and so would we
        connection = await self._begun(who)
        if undone:
            await connection.execute("SAVEPOINT undone")
        version = await connection.fetchval(
            "UPDATE entity SET version = version + 1 WHERE id = $1 RETURNING version", entity
        )
        event_id = await append(connection, key=str(entity), body={"entity": entity, "version": version})
        if undone:
            await connection.execute("ROLLBACK TO undone")
            return
        self.locked[entity] = who
        self.open_writers[who].append((event_id, entity, version))

    async def _end(self, who: int, how: str) -> None:
        if who not in self.open_writers:
            return
        await self.writers[who].execute(how)
        written = self.open_writers.pop(who)
        self.locked = {entity: writer for entity, writer in self.locked.items() if writer != who}
        if how == "commit":
            self.committed += written

    async def _look(self, sequencer: int) -> None:
        """It takes its snapshot now and goes on later: paused between looking and numbering."""
        if sequencer not in self.looking:
            await self.sequencers[sequencer].execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            await self.sequencers[sequencer].fetchval("SELECT 1")
            self.looking[sequencer] = False

    async def _number(self, sequencer: int) -> bool:
        """Whether it numbered what it saw; a loser of the race has changed nothing."""
        session, numbered = self.sequencers[sequencer], True
        try:
            for log in range(self.rig.logs):
                await session.fetch("SELECT * FROM eventlog.number($1, $2, 7)", log, self.epoch)
        except NOT_THE_LEADER:
            numbered = False
        if sequencer in self.looking:
            await session.execute("COMMIT" if numbered else "ROLLBACK")
            assert numbered or self.looking[sequencer], "it lost against nobody"
            del self.looking[sequencer]
        elif numbered:
            await self._nothing_committed_is_left()
        for other in self.looking:
            self.looking[other] = True
        return numbered

    async def _race(self) -> None:
        """Both at once: at least one of them wins."""
        if self.looking:
            return
        outcomes = await asyncio.gather(*(self._number_alone(session) for session in self.sequencers))
        assert any(outcomes)

    async def _number_alone(self, session: Connection) -> bool:
        with contextlib.suppress(*NOT_THE_LEADER):
            for log in range(self.rig.logs):
                await session.fetch("SELECT * FROM eventlog.number($1, $2, 7)", log, self.epoch)
            return True
        return False

    async def _nothing_committed_is_left(self) -> None:
        """Open transactions delay their own events alone."""
        numbered = {fields["id"] for log in range(self.rig.logs) for fields in await self._entries(log)}
        assert numbered == {event_id for event_id, _, _ in self.committed}

    async def _entries(self, log: int) -> list[dict[str, Any]]:
        entries = await read_range(self.rig.pool, log, self.before[log] + 1, 2**62, 10_000)
        assert [entry.seq for entry in entries] == list(
            range(self.before[log] + 1, self.before[log] + 1 + len(entries))
        )
        return [{**msgspec.json.decode(entry.payload), "id": entry.event_id} for entry in entries]

    async def _check(self) -> None:
        logs = [await self._entries(log) for log in range(self.rig.logs)]
        logged = [(e["id"], e["entity"], e["version"]) for log in logs for e in log]
        assert sorted(logged) == sorted(self.committed)
        for number, entries in enumerate(logs):
            for entity in range(ENTITIES):
                versions = [e["version"] for e in entries if e["entity"] == entity]
                assert versions == sorted(versions)
            assert await self._entries(number) == entries


@pytest.fixture(params=[1, 4], ids=["1-log", "4-logs"])
def world(database: Database, request: pytest.FixtureRequest) -> Iterator[tuple[asyncio.Runner, World]]:
    """One database for all examples, on a loop of its own."""
    with asyncio.Runner() as runner:
        rig = Rig(database, None, logs=request.param)
        runner.run(rig.__aenter__())
        world = World(rig)
        runner.run(world.open())
        yield runner, world
        runner.run(rig.__aexit__())


LEAN = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
HEAVY = settings(LEAN, max_examples=3000)


@LEAN
@given(steps=steps)
def test_the_log_is_what_was_committed(world: tuple[asyncio.Runner, World], steps: list[Step]) -> None:
    runner, there = world
    runner.run(there.play(steps))


@pytest.mark.long
@pytest.mark.timeout(1800)
@HEAVY
@given(steps=steps)
def test_the_log_is_what_was_committed_at_length(world: tuple[asyncio.Runner, World], steps: list[Step]) -> None:
    runner, there = world
    runner.run(there.play(steps))
