"""When a tail takes Redis for behind, on a clock of the test's own; intervals of one second."""

import pytest

from shared.eventlog import lag as lags
from shared.eventlog.lag import Lag


class Time:
    """Moves when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(lags, "monotonic", time)
    return time


def test_a_redis_that_trickles_is_behind_at_the_second_look(time: Time) -> None:
    lag, looks = Lag(1), []
    for tick in range(30):
        if tick % 10 == 0:
            looks.append(lag.judge(position=tick, head=50))
        lag.asked()
        time.now += 0.1
        lag.answered(more=False)
    assert looks == [False, True, True]


def test_a_redis_that_does_not_answer_is_behind_at_the_second_look(time: Time) -> None:
    lag = Lag(1)
    lag.asked()
    assert not lag.judge(3, 4)
    time.now += 1
    assert lag.judge(3, 4)


def test_entries_that_stream_in_fast_are_never_behind(time: Time) -> None:
    """A look always finds the head a little ahead; what it was a look before has come."""
    lag, head = Lag(1), 0
    for tick in range(100):
        lag.asked()
        time.now += 0.1
        head += 300
        lag.answered(more=False)
        if tick % 10 == 0:
            assert not lag.judge(head - 20, head)


def test_who_catches_up_by_full_pages_is_slow_itself(time: Time) -> None:
    lag, position = Lag(1), 0
    for tick in range(100):
        lag.asked()
        time.now += 0.1
        lag.answered(more=True)
        position += 1000
        if tick % 10 == 0:
            assert not lag.judge(position, 1_000_000)


def test_who_was_away_has_to_ask_before_judging(time: Time) -> None:
    lag = Lag(1)
    lag.asked()
    lag.answered(more=False)
    assert not lag.judge(3, 8)
    time.now += 60
    assert not lag.judge(3, 900)  # nobody asked in between
    lag.asked()
    time.now += 0.1
    assert not lag.judge(3, 900)
    lag.answered(more=False)
    assert not lag.judge(880, 900)
    time.now += 1
    assert not lag.judge(900, 950)


def test_a_redis_that_is_taken_up_again_owes_nothing(time: Time) -> None:
    lag = Lag(1)
    lag.asked()
    assert not lag.judge(3, 4)
    lag.clear()
    time.now += 1
    lag.asked()
    assert not lag.judge(3, 4)
