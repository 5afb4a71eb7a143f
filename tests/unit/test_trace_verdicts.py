"""What a socket's positions say of one event, case by case; the event is at 50 of log 1."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notify.live import testimony
from services.notify.live.testimony import Followed, Place, Seen
from services.notify.trace.sockets import closing, sockets_of

THEN = datetime(2026, 11, 28, 12, tzinfo=UTC)
PLACE = Place(log=1, epoch=7, seq=50, channels=["post:5", "topic:a"])


def followed(
    since: int | None = None, start: int | None = None, through: int | None = None, **more: object
) -> Followed:
    """A subscription by its positions in log 1; what it has of log 0 would say the opposite."""

    def at(seq: int | None) -> list[int] | None:
        return None if seq is None else [100 - seq, seq]

    given = {"name": "topic:a", "channels": ["topic:a"], **more}
    return Followed(since=at(since), start=at(start), through=at(through), **given)  # type: ignore[arg-type]


CASES: dict[str, tuple[list[Followed], dict[str, object], str]] = {
    "live from before": ([followed(None, 40, 60)], {}, "delivered"),
    "replayed": ([followed(30, 55, 60)], {}, "delivered"),
    "replayed so far": ([followed(30, None, 52)], {}, "delivered"),
    "came with it": ([followed(50, 55, 60)], {}, "held"),
    "comes with it": ([followed(50, None, 50)], {}, "held"),
    "being replayed": ([followed(30, None, 45)], {}, "pending"),
    "has nothing yet": ([followed()], {}, "pending"),
    "live, and the round has yet to come": ([followed(None, 40, 49)], {}, "behind"),
    "live, and slow": ([followed(None, 40, 49)], {"behind": True}, "behind"),
    "from now on, after it": ([followed(None, 50, 60)], {}, "joined later"),
    "ended before": ([followed(None, 40, 49, ended=True)], {}, "left before"),
    "ended after": ([followed(None, 40, 50, ended=True)], {}, "delivered"),
    "closed before": ([followed(None, 40, 49)], {"closed_at": THEN}, "closed before"),
    "closed after": ([followed(None, 40, 50)], {"closed_at": THEN}, "delivered"),
    "home got the topic later": (
        [followed(30, 40, 60, name="home", came={"topic:a": [0, 55]})],
        {},
        "joined later",
    ),
    "home got the topic in time": ([followed(30, 40, 60, name="home", came={"topic:a": [0, 45]})], {}, "delivered"),
    "the best of two": ([followed(None, 55, 60), followed(None, 40, 60, name="home")], {}, "delivered"),
    "nothing of it": ([], {"names": ["topic:b"]}, "not followed"),
    "another epoch": ([followed(None, 40, 60)], {"epoch": 6}, "another epoch"),
}


@pytest.mark.parametrize(("subscriptions", "more", "reached"), CASES.values(), ids=CASES)
def test_positions_say_whether_an_event_went_to_a_socket(
    subscriptions: list[Followed], more: dict[str, object], reached: str
) -> None:
    given = {"session": "s", "opened_at": THEN - timedelta(hours=1), "epoch": 7, "followed": subscriptions, **more}
    seen = Seen(**given)  # type: ignore[arg-type]
    told = testimony.Testimony(installation="i", process="p", since=THEN, sockets=1, seen=[seen])
    [socket] = sockets_of([told], PLACE, THEN)
    assert (socket.reached, socket.open_then) == (reached, True)
    assert socket.why


@pytest.mark.parametrize(
    ("through", "newer", "superseded"), [(60, 55, True), (60, 60, True), (54, 55, False), (60, None, False)]
)
def test_newer_counts_may_have_gone_in_place_of_older_ones_where_both_were_written(
    through: int, newer: int | None, superseded: bool
) -> None:
    seen = Seen(session="s", opened_at=THEN, epoch=7, followed=[followed(None, 40, through)])
    told = testimony.Testimony(installation="i", process="p", since=THEN, sockets=1, seen=[seen])
    [socket] = sockets_of([told], PLACE, THEN, newer=newer)
    assert socket.reached == "delivered"
    assert ("newer counts" in socket.why) == superseded


def test_a_close_is_told_with_its_name() -> None:
    assert closing(4000) == "4000 (drain)"
    assert closing(4999) == "4999"
    assert "left" in closing(None)
