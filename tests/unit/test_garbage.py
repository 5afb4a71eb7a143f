"""What lives long is left out of collections, and what went is given back."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from shared.garbage import COLLECT_AFTER, SET_ASIDE_AFTER, Residents, settle


class Socket:
    """In a cycle with itself, as protocols and transports are with each other."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _given_back() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_was_there_at_the_start_is_not_looked_at_again() -> None:
    settle()
    assert gc.get_freeze_count() > 1_000


def test_newcomers_are_set_aside_in_groups() -> None:
    settle()
    residents, before = Residents(), gc.get_freeze_count()
    kept = []
    for _ in range(SET_ASIDE_AFTER):
        kept.append(Socket())
        residents.came()
    assert gc.get_freeze_count() >= before + len(kept)


def test_what_the_gone_ones_held_is_given_back() -> None:
    residents = Residents()
    sockets = [Socket() for _ in range(COLLECT_AFTER)]
    gone = [weakref.ref(socket) for socket in sockets]
    for _ in sockets:
        residents.came()
    sockets.clear()
    for _ in gone:
        residents.left(0)
    assert not any(ref() for ref in gone)


def test_a_full_house_is_not_looked_through_for_a_few_who_leave() -> None:
    residents, held = Residents(), Socket()
    gone = weakref.ref(held)
    residents.came()
    gc.freeze()
    del held
    for _ in range(COLLECT_AFTER):
        residents.left(4 * COLLECT_AFTER)
    assert gone() is not None
    gc.unfreeze()
    gc.collect()
    assert gone() is None
