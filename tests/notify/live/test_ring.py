"""The ring against a plain list: any sequence of appending, extending and releasing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.live.ring import REDACTED, Ring
from shared.eventlog.entries import Entry

CHANNELS = ["a", "b", "c"]


def entry(seq: int, channels: tuple[str, ...] = ("a",)) -> Entry:
    return Entry(seq, seq, "x", "2026-11-23T09:30:00.123Z", channels, b'{"secret":1}')


@given(
    steps=st.lists(
        st.one_of(
            st.sets(st.sampled_from(CHANNELS)).map(lambda on: ("append", tuple(sorted(on)))),
            st.integers(1, 6).map(lambda count: ("prepend", count)),
            st.just(("release", 0)),
            st.integers(0, 5).map(lambda room: ("hold", room)),
        ),
        max_size=60,
    ),
    start=st.integers(0, 30),
)
def test_a_ring_answers_as_the_whole_log_would(steps: list[tuple[str, object]], start: int) -> None:
    log = {seq: entry(seq, (CHANNELS[seq % 3],)) for seq in range(1, start + 1)}
    ring = Ring(0, 5, start, slack=2)
    for what, argument in steps:
        if what == "append":
            assert isinstance(argument, tuple)
            log[ring.end + 1] = entry(ring.end + 1, argument)
            ring.append(log[ring.end + 1])
        elif what == "prepend":
            assert isinstance(argument, int)
            ring.prepend([log[seq] for seq in range(max(ring.floor - argument, 1), ring.floor)])
        elif what == "release":
            ring.release()
        else:
            assert isinstance(argument, int)
            ring.hold(argument)
        assert len(ring) == ring.end - ring.floor + 1
        assert [ring.entry(seq) for seq in range(ring.floor, ring.end + 1)] == [
            log[seq] for seq in range(ring.floor, ring.end + 1)
        ]
        for channel in CHANNELS:
            known = [seq for seq in range(ring.floor, ring.end + 1) if channel in log[seq].channels]
            for after in range(ring.floor - 1, ring.end + 1):
                later = [seq for seq in known if seq > after]
                assert list(ring.positions(channel, after, 3)) == later[:3]
                assert ring.previous(channel, after + 1) == max((seq for seq in known if seq <= after), default=0)
    ring.release()
    assert len(ring) <= 5 + 2


def test_a_hole_is_a_broken_assumption() -> None:
    ring = Ring(0, 5, 10)
    for seq in (10, 12):
        with pytest.raises(AssertionError):
            ring.append(entry(seq))
    ring.append(entry(11))
    with pytest.raises(AssertionError):
        ring.prepend([entry(9)])


def test_the_index_leaves_with_the_entries() -> None:
    ring = Ring(0, 10, 0, slack=5)
    for seq in range(1, 1_000):
        ring.append(entry(seq, (f"post:{seq}", "topic:a")))
    assert ring.channels() <= 17


def test_words_that_were_read_before_they_were_removed_are_not_prepended() -> None:
    ring = Ring(0, 10, 5)
    ring.fill([entry(6), entry(7)])
    ring.hold(100)
    read = [entry(4), entry(5)]
    ring.redact(5)
    ring.prepend(read)
    assert [(e.seq, e.type) for e in map(ring.entry, range(4, 8))] == [(4, "x"), (5, REDACTED), (6, "x"), (7, "x")]


def test_redacting_takes_the_words_and_nothing_else() -> None:
    ring = Ring(0, 10, 0)
    ring.append(entry(1))
    ring.redact(1)
    ring.redact(99)
    assert ring.entry(1) == entry(1)._replace(type=REDACTED, payload=b"{}")
    assert list(ring.positions("a", 0, 5)) == [1]


def test_long_words_push_out_old_ones_before_the_entries_are_too_many() -> None:
    ring = Ring(0, 1_000, 0, most=1_000)
    for seq in range(1, 101):
        ring.append(entry(seq)._replace(payload=b"x" * 100))
        assert (ring.end - ring.floor + 1) * 100 <= 1_000
    assert len(ring) >= 9
    ring.append(entry(101)._replace(payload=b"x" * 5_000))
    assert (ring.floor, ring.end) == (101, 101)
    ring.redact(101)
    ring.fill(entry(seq)._replace(payload=b"") for seq in range(102, 202))
    assert ring.floor == 101


def test_what_is_held_may_be_twice_as_long_and_leaves_when_it_is_released() -> None:
    ring = Ring(0, 1_000, 5, most=700)
    ring.append(entry(6)._replace(payload=b"x" * 200))
    assert ring.spare == 1_200
    ring.prepend([entry(seq)._replace(payload=b"x" * 200) for seq in range(1, 6)])
    ring.append(entry(7)._replace(payload=b"x" * 200))
    assert (ring.floor, ring.end, ring.spare) == (1, 7, 0)
    for seq in range(8, 100):
        ring.append(entry(seq)._replace(payload=b"x" * 200))
        assert ring.spare >= 0
    ring.release()
    assert (ring.floor, ring.end) == (97, 99)
