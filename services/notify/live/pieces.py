"""What a replay or a catching up writes next: a piece of some channels' chains, made once for all who stand there.

A starved process finds thousands of sockets behind near one position, a restarted one thousands that resume near one.
Each has its own socket to wait for, but their bytes are the same; made for each, they are what a collapse is made of.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.notify.live.fanout import RELOADED, Bodies, chain
from services.notify.live.ring import Ring
from shared.eventlog.entries import Entry

BUDGET = 65_536
"""Bytes that one piece has at most, about."""
PICKS = 512
"""Entries of one channel that one piece looks at."""
STRIDE = 64
"""A piece that can't have everything ends at a multiple of this: who began elsewhere soon stands where others do."""
KEPT = 64
"""Pieces that are kept: 4 MB at most."""

Written = dict[tuple[str, int], int]
"""By channel and log, the position of what was written last."""


class Piece(NamedTuple):
    """Ready-made `frames` up to `position`. `written`: what they end with. `reloads`: channels that were reloaded on
    the way, with log and position; none of their frames after that is here."""

    frames: bytes
    position: tuple[int, ...]
    written: Written
    reloads: tuple[tuple[str, int, int], ...]
    at_end: bool


class Pieces:
    """The pieces of these rings, the latest of them kept."""

    __slots__ = ("_bodies", "_kept", "_redactions", "_rings")

    def __init__(self, rings: Sequence[Ring]) -> None:
        self._rings = rings
        self._bodies = Bodies()
        self._kept: dict[object, Piece] = {}
        self._redactions = 0

    def after(
        self,
        channels: tuple[str, ...],
        position: Sequence[int],
        base: Sequence[int],
        written: Mapping[tuple[str, int], int],
        budget: int,
    ) -> Piece:
        """What follows `position`, at most about `budget` bytes; it comes further whenever there is further to go.

        A chain starts at `base` and goes on from what was `written`, also when the ring has let go of that meanwhile.
        """
        redactions = sum(ring.redactions for ring in self._rings)
        if redactions != self._redactions:  # words that are gone are in no piece
            self._kept.clear()
            self._redactions = redactions
        known = {
            (channel, ring.log): written.get((channel, ring.log), base[ring.log])
            for ring in self._rings
            for channel in channels
        }
        place = (channels, tuple(position), tuple(known.values()), budget)
        kept = self._kept.get(place)
        # One that came to the end may have more after it by now; any other is all that fits.
        if kept is not None and (not kept.at_end or kept.position == self._ends()):
            return kept
        made = self._make(channels, position, known, min(budget, BUDGET))
        if len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept.pop(place, None)
        self._kept[place] = made
        return made

    def _ends(self) -> tuple[int, ...]:
        return tuple([ring.end for ring in self._rings])

    def _make(self, channels: tuple[str, ...], position: Sequence[int], known: Written, budget: int) -> Piece:
        frames: list[bytes] = []
        reached: list[int] = []
        last: Written = {}
        reloads: list[tuple[str, int, int]] = []
        for ring in self._rings:
            picked, through, budget = pick(ring, channels, position[ring.log], budget)
            reached.append(through)
            for channel, entries in picked.items():
                prev = max(ring.previous(channel, entries[0].seq), known[channel, ring.log])
                cut = next((place for place, entry in enumerate(entries) if entry.type == RELOADED), None)
                frames += chain(channel, ring.log, prev, entries[:cut], self._bodies)
                last[channel, ring.log] = entries[-1].seq
                if cut is not None:
                    reloads.append((channel, ring.log, entries[cut].seq))
        return Piece(b"".join(frames), tuple(reached), last, tuple(reloads), tuple(reached) == self._ends())


def pick(ring: Ring, channels: tuple[str, ...], after: int, budget: int) -> tuple[dict[str, list[Entry]], int, int]:
    """What `channels` have after a position, by channel in order, with the position it is complete through.

    Stops when `budget` bytes (payloads and a frame's rest) are spent, having come further if it began with any; also
    returns what is left of the budget.
    """
    if budget <= 0:
        return {}, after, 0
    through = ring.end
    found: list[tuple[int, str]] = []
    for channel in channels:
        seqs = ring.positions(channel, after, PICKS)
        if len(seqs) == PICKS:
            through = min(through, seqs[-1])
        found += [(seq, channel) for seq in seqs]
    found.sort()
    for seq, _ in found:
        if seq > through:
            break
        budget -= len(ring.entry(seq).payload) + 160
        if budget <= 0:
            through = seq  # the same entry's other channels still come along
    if through < ring.end and (even := through - through % STRIDE) > after:
        through = even
    picked: dict[str, list[Entry]] = {}
    for seq, channel in found:
        if seq > through:
            break
        picked.setdefault(channel, []).append(ring.entry(seq))
    return picked, through, budget
