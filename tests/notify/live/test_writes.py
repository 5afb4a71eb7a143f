"""A round's writes: each made once and whole, whichever thread made it, and whatever the kernel did not take."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from services.notify.live import writes as writes_module
from services.notify.live.uring import Left, Uring, Write
from services.notify.live.writes import Hand, Writes, one_by_one

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def made() -> Iterator[Callable[..., Writes]]:
    """Makes Writes; every one is closed twice at the end, and no thread of theirs is left."""
    all_of_them: list[Writes] = []

    def make(hands: tuple[Hand, Hand] | None = None) -> Writes:
        all_of_them.append(Writes(hands))
        all_of_them[-1]._alone = False
        return all_of_them[-1]

    yield make
    for writes in all_of_them:
        writes.close()
        writes.close()
    assert not any(thread.name == "writes" for thread in threading.enumerate())


@pytest.fixture(params=["as the system has it", "one by one"])
def writes(request: pytest.FixtureRequest, made: Callable[..., Writes]) -> Writes:
    return made(None if request.param == "as the system has it" else (one_by_one, one_by_one))


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    with ExitStack() as stack:
        made = [socket.socketpair() for _ in range(100)]
        for near, far in made:
            near.setblocking(False)
            stack.enter_context(near)
            stack.enter_context(far)
        yield made


def one_each(pairs: list[Pair]) -> list[Write]:
    """A byte to each."""
    return [(near.fileno(), b"x", lane) for lane, (near, _) in enumerate(pairs)]


@pytest.mark.parametrize("many", [5, 100], ids=["alone", "with help"])
def test_each_write_is_made_once(writes: Writes, pairs: list[Pair], many: int) -> None:
    for turn in range(50):
        todo = [(near.fileno(), b"%d:%d;" % (turn, number), number) for number, (near, _) in enumerate(pairs[:many])]
        assert writes.make(todo) == []
    for number, (_, far) in enumerate(pairs[:many]):
        assert far.recv(100_000) == b"".join(b"%d:%d;" % (turn, number) for turn in range(50))


def test_two_threads_make_them(made: Callable[..., Writes], pairs: list[Pair]) -> None:
    both = threading.Barrier(2)
    met: set[str] = set()

    def meeting(chunk: Sequence[Write]) -> list[Left]:
        if threading.current_thread().name not in met:
            met.add(threading.current_thread().name)
            both.wait(20)  # each waits for the other's first chunk
        return []

    made((meeting, meeting)).make(one_each(pairs))
    assert len(met) == 2


def test_a_round_waits_for_what_its_helper_has_begun(made: Callable[..., Writes], pairs: list[Pair]) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(chunk: Sequence[Write]) -> list[Left]:
        if not begun.is_set():
            begun.set()
            time.sleep(0.2)
            ended.set()
        return []

    def waiting(chunk: Sequence[Write]) -> list[Left]:
        begun.wait(20)
        return []

    made((waiting, slow)).make(one_each(pairs))
    assert ended.is_set()


def test_who_helps_and_never_comes_is_not_waited_for(
    writes: Writes, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    writes.make(one_each(pairs))
    assert all(far.recv(10) == b"x" for _, far in pairs)
    monkeypatch.undo()
    writes._helper = None  # there is none to end


def test_what_the_kernel_does_not_take_comes_back(writes: Writes, pairs: list[Pair]) -> None:
    words = b"0123456789" * 100_000
    pairs[1][1].close()
    broken, gone = (pairs[1][0].fileno(), b"into a broken pipe", 8), (2**20, b"to nobody", 9)
    (lane, rest), *others = writes.make([(pairs[0][0].fileno(), words, 7), broken, gone])
    taken = len(words) - len(rest)
    assert lane == 7
    assert 0 < taken < len(words)
    assert pairs[0][1].recv(len(words), socket.MSG_WAITALL | socket.MSG_DONTWAIT) + rest == words
    assert others == [(8, b"into a broken pipe"), (9, b"to nobody")]


def test_a_helper_that_breaks_breaks_the_round(made: Callable[..., Writes], pairs: list[Pair]) -> None:
    came = threading.Event()

    def breaking(chunk: Sequence[Write]) -> list[Left]:
        came.set()
        raise MemoryError("no more")

    def waiting(chunk: Sequence[Write]) -> list[Left]:
        came.wait(20)
        return []

    with pytest.raises(MemoryError):
        made((waiting, breaking)).make(one_each(pairs))


def test_a_few_writes_wake_nobody(writes: Writes, pairs: list[Pair]) -> None:
    writes.make(one_each(pairs[: writes_module.HELPED - 1]))
    assert writes._helper is None


def test_it_can_be_closed_after_its_own_thread_broke(
    made: Callable[..., Writes], pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()

    def breaking(chunk: Sequence[Write]) -> list[Left]:
        raise MemoryError("no more")

    writes = made((breaking, one_by_one))
    monkeypatch.setattr(writes, "_help", held.wait)  # it comes when all is over
    with pytest.raises(MemoryError):
        writes.make(one_each(pairs))
    held.set()
    writes.close()


def test_where_the_system_allows_no_ring_writes_are_made_one_by_one(
    made: Callable[..., Writes], pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden() -> Uring:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(writes_module, "Uring", forbidden)
    writes = made()
    assert writes.make(one_each(pairs)) == []
    assert writes._hands == (one_by_one, one_by_one)
    assert all(far.recv(10) == b"x" for _, far in pairs)
