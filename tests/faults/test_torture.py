"""The torture itself: a short seeded run before every change, longer ones in `make test-long`."""

from collections.abc import Callable

import pytest

from services.torture.faults import ALL
from services.torture.report import Report, in_words
from services.torture.run import BURST, Options, torture
from tests.conftest import TOLD

FAMILIES = {fault.family for fault in ALL.values()}

# One fault of each family, and those that combine worst; the rest is dealt in the long runs.
SUITE = [
    "sequencer-after-numbering",
    "leader-stopped",
    "feed-after-commit",
    "notifier-before-cursor",
    "redis-flushed",
    "redis-down",
    "redis-read-only",
    "redis-promoted",
    "postgres-crashed",
    "postgres-held-open",
    "postgres-standby-promoted",
    "day-dropped-behind-writer",
    "zero-window",
    "half-open",
    "reconnect-burst",
    "rolling-restart",
    "published-twice",
    "undecodable-event",
    "clock-moved",
]


async def run(seed: str, faults: list[str], *, seconds: float, clients: int) -> Report:
    """One run. Raises AssertionError with its counts and everything that is wrong."""
    options = Options(seed=seed, seconds=seconds, faults=[ALL[name] for name in faults], clients=clients, rate=20)
    report = await torture(options, print)
    assert not report.wrong, in_words(report)
    return report


@pytest.mark.timeout(900)
async def test_sixty_seeded_seconds_in_which_every_family_fires_lose_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    report = await run("suite", SUITE, seconds=60, clients=60)
    record_property(TOLD, in_words(report))
    assert report.families.keys() == FAMILIES


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", ["long-1", "long-2", "c1", "c2"])
async def test_five_minutes_of_everything_lose_nothing(
    seed: str, record_property: Callable[[str, object], None]
) -> None:
    report = await run(seed, list(ALL), seconds=300, clients=200)
    record_property(TOLD, in_words(report))
    assert {fired.fault for fired in report.fired} == ALL.keys()
    bursts = [fired.measured["sockets"] for fired in report.fired if fired.fault == "reconnect-burst"]
    assert set(bursts) == {BURST} == {5_000}
