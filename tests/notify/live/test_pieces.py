"""What many who are behind are written: made once, and void when it is no longer true."""

from services.notify.live.pieces import STRIDE, Pieces
from services.notify.live.ring import Ring
from shared.eventlog.entries import Entry
from tests.notify.live.judge import payloads

CHANNELS = ("topic:a",)


def ring_of(count: int, body: bytes = b'{"post_id":"1"}') -> Ring:
    ring = Ring(0, 10_000, 0)
    for _ in range(count):
        write(ring, body)
    return ring


def write(ring: Ring, body: bytes = b'{"post_id":"1"}') -> None:
    seq = ring.end + 1
    ring.append(Entry(seq, seq, "post.deleted", "2026-11-23T00:00:00.000Z", CHANNELS, body))


def test_those_who_stand_at_one_place_are_written_the_same_bytes() -> None:
    pieces = Pieces([ring_of(10)])
    assert pieces.after(CHANNELS, [3], [3], {}, 4096) is pieces.after(CHANNELS, [3], [3], {}, 4096)


def test_what_came_to_the_end_is_made_again_when_there_is_more() -> None:
    ring = ring_of(2)
    pieces = Pieces([ring])
    assert pieces.after(CHANNELS, [0], [0], {}, 4096).position == (2,)
    write(ring)
    more = pieces.after(CHANNELS, [0], [0], {}, 4096)
    assert [frame["seq"] for frame in payloads(more.frames)] == [1, 2, 3]


def test_another_start_of_the_chain_is_another_piece() -> None:
    pieces = Pieces([ring_of(10)])
    first = pieces.after(CHANNELS, [5], [5], {}, 4096)
    other = pieces.after(CHANNELS, [5], [2], {}, 4096)
    assert [next(iter(payloads(piece.frames)))["prev"] for piece in (first, other)] == [5, 5]
    silent = ("topic:a", "post:9")
    assert pieces.after(silent, [5], [5], {}, 4096) is not pieces.after(silent, [5], [2], {}, 4096)


def test_who_fell_behind_at_different_places_soon_stands_at_the_same() -> None:
    pieces = Pieces([ring_of(1_000)])
    reached = set()
    for start in (3, 10, 40):
        position: list[int] = [start]
        written: dict[tuple[str, int], int] = {}
        while not (piece := pieces.after(CHANNELS, position, [start], written, 16_000)).at_end:
            position, written = list(piece.position), {**written, **piece.written}
        assert piece.position == (1_000,)
        reached.add(id(piece))
    assert len(reached) == 1
    assert STRIDE > 40


def test_removed_words_are_in_no_piece_that_was_kept() -> None:
    ring = ring_of(1, b'{"body":"gone"}')
    pieces = Pieces([ring])
    assert b"gone" in pieces.after(CHANNELS, [0], [0], {}, 4096).frames
    ring.redact(1)
    assert b"gone" not in pieces.after(CHANNELS, [0], [0], {}, 4096).frames
    write(ring)
    ring.release()
    kept = pieces.after(CHANNELS, [0], [0], {}, 4096)
    ring.redact(ring.floor - 1)  # also when the ring has let go of it: it may come back from Postgres
    assert pieces.after(CHANNELS, [0], [0], {}, 4096) is not kept
