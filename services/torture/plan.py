"""Which faults happen together, and in which order: from the seed alone.

The deck is dealt in rounds of up to TOGETHER faults that touch different parts; one of each family comes first, and
when the deck is empty it is shuffled anew. How many rounds there are is a matter of time, what is in them is not.
"""

import random
from collections.abc import Iterator, Sequence

from services.torture.scene import Fault

TOGETHER = 3
"""Faults at once at most: with more of them nothing would run that could go wrong."""

Kind = type[Fault]


def rounds(seed: str, kinds: Sequence[Kind]) -> Iterator[list[Kind]]:
    """Rounds without end; see `first_deal` for how many deal everything once."""
    rng = random.Random(f"{seed}/plan")  # noqa: S311
    while True:
        yield from _deal(rng, kinds)


def first_deal(seed: str, kinds: Sequence[Kind]) -> int:
    """How many rounds it takes until every fault was dealt once."""
    return len(_deal(random.Random(f"{seed}/plan"), kinds))  # noqa: S311


def _deal(rng: random.Random, kinds: Sequence[Kind]) -> list[list[Kind]]:
    deck = rng.sample(list(kinds), len(kinds))
    firsts = {kind.family: kind for kind in reversed(deck)}
    deck.sort(key=lambda kind: firsts[kind.family] is not kind)  # stable: the rest stays shuffled
    dealt: list[list[Kind]] = []
    while deck:
        hand: list[Kind] = []
        for kind in list(deck):
            if len(hand) < TOGETHER and not any(kind.touches & other.touches for other in hand):
                hand.append(kind)
                deck.remove(kind)
        dealt.append(hand[: rng.choice((1, 2, TOGETHER, TOGETHER))])
        deck = hand[len(dealt[-1]) :] + deck
    return dealt
