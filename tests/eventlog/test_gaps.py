"""Gaps are counted, each once: when they are noticed, and when they are repaired."""

import pytest

from shared.eventlog import tail as tail_module
from shared.eventlog.gaps import Gaps
from shared.eventlog.position import Position
from shared.eventlog.tail import Tail
from tests.eventlog.rig import Rig, take
from tests.eventlog.test_tail_and_redis import follow_redis

pytestmark = pytest.mark.both_redis


def counted(tail: Tail) -> dict[str, tuple[int, int]]:
    """Gaps noticed and repaired, of the causes that there were."""
    gaps = tail.gaps
    return {cause: (gaps.noticed[cause], gaps.repaired[cause]) for cause in gaps.noticed if gaps.noticed[cause]}


async def test_a_gap_of_many_pages_is_one_and_repaired_with_its_last_position(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "CHECK_EVERY", 30.0)  # else a busy machine's pause looks like Redis's
    async with rig.running():
        await rig.write(3000)
        await rig.settle()
        epoch = await rig.epoch()
        await rig.stream().erase([Position(epoch, seq) for seq in (*range(3, 2600), 2900)])
    tail = rig.tail(start=Position(epoch, 0))
    while tail.position.seq < 2599:
        await anext(tail)
        assert counted(tail) in ({}, {"missing": (1, 0)}, {"missing": (1, 1)})
        assert (tail.gaps.repaired["missing"] == 1) == (tail.position.seq >= 2599)
    await take(tail, 3000 - tail.position.seq)
    assert counted(tail) == {"missing": (2, 2)}
    await tail.aclose()


async def test_what_is_no_entry_is_a_gap_and_what_lies_before_it_another(rig: Rig) -> None:
    async with rig.running():
        await rig.write(5)
        await rig.settle()
    start = await rig.restream({4: {"hello": "world"}})
    await rig.stream().erase([Position(start.epoch, 3)])
    tail = rig.tail(start=start)
    assert await take(tail, 5) == await rig.log()
    assert counted(tail) == {"missing": (1, 1), "malformed": (1, 1)}
    await tail.aclose()


async def test_a_redis_that_brings_nothing_more_is_a_gap_once(rig: Rig) -> None:
    tail = rig.tail(start=await rig.head())
    async with rig.running():
        await follow_redis(rig, tail)
    before = counted(tail)
    numberer = await rig.numberer()
    await rig.write(3)
    await numberer.fetch("SELECT * FROM eventlog.number(0::smallint, $1, 1)", await rig.epoch())
    await take(tail, 3)
    noticed, repaired = before.get("behind", (0, 0))
    assert counted(tail)["behind"] == (noticed + 1, repaired + 1)
    assert tail.source == "postgres"
    await tail.aclose()


def test_a_gap_that_is_met_again_is_no_other_one_and_two_are_two() -> None:
    gaps = Gaps()
    for last in (5, 5, 9):
        gaps.notice("missing", last)
    gaps.passed(4)
    assert (gaps.noticed["missing"], gaps.repaired["missing"]) == (2, 0)
    gaps.passed(5)
    assert gaps.repaired["missing"] == 1
    gaps.passed(20)
    gaps.passed(21)
    assert gaps.repaired["missing"] == 2
