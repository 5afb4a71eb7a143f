"""A whole run in which what the oracle is given is broken behind its back: it ends with what was broken."""

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from services.torture import oracle, scratch
from services.torture.client import Client
from services.torture.generator import TOPICS
from services.torture.run import Options, torture
from services.torture.scene import Fault, until

Json = dict[str, Any]


async def victim(fault: Fault) -> tuple[Client, str]:
    """A client and a busy topic that it follows; no other saboteur's."""
    found: list[tuple[Client, str]] = []

    async def chosen() -> bool:
        taken = fault.scene.book.counts
        for client in fault.rng.sample(fault.scene.clients, len(fault.scene.clients)):
            for channel in [f"topic:{slug}" for slug in TOPICS]:
                subscription = client.subscriptions.get(channel)
                live = subscription is not None and subscription.chain.state == "live"
                if live and not found and not taken[f"spoilt {client.name}"]:
                    taken[f"spoilt {client.name}"] += 1
                    found.append((client, channel))
        return bool(found)

    await until(chosen, "somebody follows a topic")
    return found[0]


class FrameLost(Fault):
    """A client never hears of one event, and the next says that nothing lies between."""

    name, family, touches = "frame-lost", "sabotage", frozenset({"frames"})

    async def inject(self) -> None:
        client, channel = await victim(self)
        hear, lost = client.line._take, list[Json]()
        done = asyncio.Event()

        async def deaf(frame: Json) -> None:
            if frame["type"] == "event" and frame["channel"] == channel and not done.is_set():
                if not lost and frame["event"]["type"] == "post.created":
                    return lost.append(frame)
                if lost:
                    frame = {**frame, "prev": lost[0]["prev"]}
                    done.set()
            elif frame["type"] == "mark" and lost and not done.is_set():
                return None  # it would move the chain past what is missing, and the next frame would be believed anyway
            return await hear(frame)

        client.line._take = deaf

        async def gone() -> bool:
            return done.is_set()

        await until(gone, "a frame is lost and the next was heard")
        self.evidence = f"{client.name} never heard of {lost[0]['seq']} on {channel}"


class FoldStuck(Fault):
    """A client shows no news of a topic any more, whatever it hears."""

    name, family, touches = "fold-stuck", "sabotage", frozenset({"folds"})

    async def inject(self) -> None:
        client, channel = await victim(self)
        client.subscriptions[channel].view.fold = lambda event: None  # type: ignore[method-assign]
        self.evidence = f"{client.name} is stuck at {channel}"


class NotificationLost(Fault):
    """Lines of inboxes are gone from Postgres, and nobody was told. Several: the cause of one may go by itself."""

    name, family, touches = "notification-lost", "sabotage", frozenset({"postgres"})

    async def inject(self) -> None:
        async def gone() -> bool:
            rows = await self.scene.stage.fetch(
                """WITH read AS (SELECT n.id FROM notify.notification n JOIN notify.inbox i USING (account_id)
                                 WHERE n.id <= i.read_up_to),
                        many AS (SELECT id FROM read WHERE (SELECT count(*) FROM read) >= 8)
                   DELETE FROM notify.notification n USING many WHERE n.id = many.id RETURNING n.account_id"""
            )
            self.evidence = f"{len(rows)} are gone of: {' '.join(sorted({str(row['account_id']) for row in rows}))}"
            return bool(rows)

        await until(gone, "notifications that were read are gone")


class EpochForNothing(Fault):
    """Everybody is told to fetch again, and Postgres has lost nothing."""

    name, family, touches = "epoch-for-nothing", "sabotage", frozenset({"postgres"})

    async def inject(self) -> None:
        [row] = await self.scene.stage.fetch("SELECT eventlog.open_epoch(NULL, 0, 'sabotage')")
        self.evidence = f"epoch {row[0]}"


class Stored(Fault):
    """Something is changed in Postgres once enough is there; `statement` gives what was changed."""

    family, touches = "sabotage", frozenset({"stored"})
    statement: str

    async def inject(self) -> None:
        async def done() -> bool:
            await self.scene.ledger.rows()  # the oracle has seen how it was
            rows = await self.scene.stage.fetch(self.statement)
            self.evidence = " ".join(str(row[0]) for row in rows)
            return bool(rows)

        await until(done, "something that is stored is changed")


class EntryRewritten(Stored):
    """An entry that was published says something else."""

    name = "entry-rewritten"
    statement = """UPDATE eventlog.event
                   SET payload = convert_to((convert_from(payload, 'UTF8')::jsonb || '{"x": 1}')::text, 'UTF8')
                   WHERE id = (SELECT event_id FROM eventlog.entry WHERE log = 0 AND seq = 20) RETURNING id"""


class EntryGone(Stored):
    """A position is gone, with its event."""

    name = "entry-gone"
    statement = """WITH gone AS (DELETE FROM eventlog.entry WHERE log = 0 AND seq = 30 RETURNING event_id)
                   DELETE FROM eventlog.event e USING gone WHERE e.id = gone.event_id RETURNING e.id"""


class ParkedForNothing(Stored):
    """An event is parked that nobody found undecodable."""

    name = "parked-for-nothing"
    statement = """INSERT INTO notify.dead_letter
                   VALUES (0, 10, 4711, 'x', '2026-11-29T09:00:00.000Z', '{}', 'sabotage', now()) RETURNING event_id"""


class Died(Fault):
    """A process dies, and torture has not ordered it."""

    name, family, touches = "died", "sabotage", frozenset({"process"})

    async def inject(self) -> None:
        service = self.rng.choice(self.scene.stage.notifies)
        os.kill(service.pid, signal.SIGKILL)
        self.evidence = service.name


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_an_epoch_without_lost_history_is_what_the_run_ends_with() -> None:
    report = await torture(Options(seed="epoch", seconds=1, faults=[EpochForNothing], clients=20, rate=30), print)
    assert any("and Postgres lost nothing" in line for line in report.wrong), report.wrong
    scratch.clear(Path(report.kept), keep_logs=False)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_what_is_broken_behind_the_oracle_s_back_is_what_the_run_ends_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oracle, "PATIENCE", 20.0)  # nobody who is stuck is worth more
    kinds = [FrameLost, FoldStuck, NotificationLost]
    report = await torture(Options(seed="sabotage", seconds=1, faults=kinds, clients=40, rate=30), print)
    assert {fired.fault: bool(fired.evidence) for fired in report.fired} == {kind.name: True for kind in kinds}
    said = "\n".join(report.wrong)
    evidence = {fired.fault: fired.evidence.split() for fired in report.fired}
    lost, stuck = evidence["frame-lost"], evidence["fold-stuck"]
    assert f"{lost[0]} missed {lost[4]} post.created on {lost[-1]}" in said
    assert any(line.startswith(f"{stuck[0]}: {stuck[-1]}: ") for line in report.wrong), said
    lacking = [account for account in evidence["notification-lost"][4:] if f"inbox of {account} lacks" in said]
    assert lacking, said
    assert f"inbox:{lacking[0]}, read from the log's beginning: only held" in said
    kept = Path(report.kept)
    assert set(os.listdir(kept)) >= {"feed.log", "sequencer-1.log", "notify-1.log", "pg.log"}
    scratch.clear(kept, keep_logs=False)


async def spoilt(seed: str, kinds: list[type[Fault]], monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, str]]:
    """What a run of these ends with, and each one's evidence."""
    monkeypatch.setattr(oracle, "PATIENCE", 5.0)
    report = await torture(Options(seed=seed, seconds=1, faults=kinds, clients=20, rate=30), print)
    if report.kept:
        scratch.clear(Path(report.kept), keep_logs=False)
    evidence = {fired.fault: fired.evidence for fired in report.fired}
    assert all(evidence.get(kind.name) for kind in kinds), evidence
    return "\n".join(report.wrong), evidence


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_what_is_stored_otherwise_and_who_died_is_what_the_run_ends_with(monkeypatch: pytest.MonkeyPatch) -> None:
    said, evidence = await spoilt("stored", [EntryRewritten, ParkedForNothing, Died], monkeypatch)
    assert "log 0 at 20: " in said, "Postgres says something else than it did"
    assert re.search(r"log 0 at \d+-20: Redis .*, Postgres ", said)
    assert "parked are {4711}, undecodable were set()" in said
    assert f"died, and nobody killed it: {evidence['died']} ended with -9" in said


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_hole_in_the_log_is_what_the_run_ends_with(monkeypatch: pytest.MonkeyPatch) -> None:
    said, _ = await spoilt("hole", [EntryGone], monkeypatch)
    assert re.search(r"log 0 ends at \d+ and holds ", said), said
