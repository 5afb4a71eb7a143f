"""Fixtures of the event log's tests: a rig with real servers, and the machine's intervals shortened."""

from collections.abc import AsyncIterator

import pytest

from shared.eventlog import leadership, publisher, reads, sequencer, tail
from tests.eventlog.rig import Rig
from tests.servers import Database


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine, not waiting as long: what is tested is what happens, not when."""
    monkeypatch.setattr(leadership, "STAND_BY", 0.02)
    monkeypatch.setattr(sequencer, "AGAIN", (0.01, 0.05))
    monkeypatch.setattr(publisher, "CHECK_EVERY", 0.1)
    monkeypatch.setattr(publisher, "PAUSE", (0.02, 0.1))
    monkeypatch.setattr(tail, "CHECK_EVERY", 0.05)
    monkeypatch.setattr(reads, "BLOCK", 0.04)


@pytest.fixture
async def rig(database: Database, redis_url: str) -> AsyncIterator[Rig]:
    """One log, with Redis."""
    async with Rig(database, redis_url) as rig:
        yield rig


@pytest.fixture(params=[1, 4], ids=["1-log", "4-logs"])
async def any_rig(database: Database, redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """One log, and four."""
    async with Rig(database, redis_url, logs=request.param) as rig:
        yield rig


@pytest.fixture
async def dry_rig(database: Database) -> AsyncIterator[Rig]:
    """One log, and no Redis at all."""
    async with Rig(database, None) as rig:
        yield rig
