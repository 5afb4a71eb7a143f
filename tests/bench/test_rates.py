"""A window whose publisher did not hold its rate claims nothing: fewer events flatter whoever delivers them."""

import pytest

from services.bench.publisher import Sent, too_slow


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (10_000, None),
        (9_700, None),
        (9_600, "the publisher reached 960 of 1,000 events/s: commits are too slow"),
        (0, "the publisher reached 0 of 1,000 events/s: commits are too slow"),
    ],
)
def test_one_window_that_was_too_slow_is_said(events: int, said: str | None) -> None:
    windows = [Sent(events=count, seconds=10, rate=count / 10) for count in (10_000, events)]
    assert too_slow(windows, 1_000) == said


def test_a_transaction_more_or_less_at_either_edge_is_chance() -> None:
    assert Sent(events=80, seconds=2, rate=40).held(50)
    assert not Sent(events=79, seconds=2, rate=39.5).held(50)
