"""How fast events come while Redis is of no use, as an outage is judged by: also those that came only after it."""

import random
from types import SimpleNamespace
from typing import cast

import pytest

from services.torture.book import Book
from services.torture.faults import outages
from services.torture.scene import Scene


@pytest.mark.parametrize(
    ("arrivals", "wrong"),
    [
        # (seconds after its beginning of an event's own time, seconds until it was seen); it is over after 10
        ([(second, 0.1) for second in range(10)], ""),
        ([(second, 0.1) for second in range(4)] + [(second, 12.0 - second) for second in range(4, 10)], "longer than"),
        ([(-0.1, 0.2)] * 100 + [(second, 5.0) for second in range(10)], "longer than"),
        ([(-0.1, 0.2)] * 100 + [(10.1, 0.1)] * 100, "hardly an event"),
    ],
    ids=["at once", "held up until it was over", "in flight when it began", "none"],
)
async def test_events_that_an_outage_holds_up_are_seen_though_they_come_after_it(
    arrivals: list[tuple[float, float]], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "LATE", 0.0)
    book = Book()
    fault = outages.Down(cast(Scene, SimpleNamespace(book=book)), random.Random(0))
    fault._since, fault._until = 999.95, 1010.0
    book.latencies = [(1000.0 + second + took, took) for second, took in arrivals]
    if wrong:
        with pytest.raises(AssertionError, match=wrong):
            await fault.judge()
    else:
        await fault.judge()
        assert fault.measured["events"] == len(arrivals)
