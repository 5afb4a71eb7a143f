"""A round's writes: each made once and whole, whichever thread made it, and whatever the kernel did not take."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.notify.live import writes as writes_module
from services.notify.live.writes import Write, Writes

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def writes() -> Iterator[Writes]:
    made = Writes()
    yield made
    made.close()
    made.close()
    assert not any(thread.name == "writes" for thread in threading.enumerate())


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


def test_two_threads_make_them(writes: Writes, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    met: set[str] = set()

    def meeting(descriptor: int, frames: bytes) -> int:
        if threading.current_thread().name not in met:
            met.add(threading.current_thread().name)
            both.wait(20)  # each waits for the other's first write
        return len(frames)

    monkeypatch.setattr(writes, "_alone", False)
    monkeypatch.setattr(os, "write", meeting)
    writes.make(one_each(pairs))
    assert len(met) == 2


def test_a_round_waits_for_what_its_helper_has_begun(
    writes: Writes, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(descriptor: int, frames: bytes) -> int:
        if threading.current_thread().name == "writes" and not begun.is_set():
            begun.set()
            time.sleep(0.2)
            ended.set()
        begun.wait(20)
        return len(frames)

    monkeypatch.setattr(writes, "_alone", False)
    monkeypatch.setattr(os, "write", slow)
    writes.make(one_each(pairs))
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


def test_a_helper_that_breaks_breaks_the_round(
    writes: Writes, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    came = threading.Event()

    def breaking(descriptor: int, frames: bytes) -> int:
        if threading.current_thread().name == "writes":
            came.set()
            raise MemoryError("no more")
        came.wait(20)
        return len(frames)

    monkeypatch.setattr(writes, "_alone", False)
    monkeypatch.setattr(os, "write", breaking)
    with pytest.raises(MemoryError):
        writes.make(one_each(pairs))


def test_a_few_writes_wake_nobody(writes: Writes, pairs: list[Pair]) -> None:
    writes.make(one_each(pairs[: writes_module.HELPED - 1]))
    assert writes._helper is None


def test_it_can_be_closed_after_its_own_thread_broke(
    writes: Writes, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    monkeypatch.setattr(writes, "_help", held.wait)  # it comes when all is over

    def breaking(descriptor: int, frames: bytes) -> int:
        raise MemoryError("no more")

    monkeypatch.setattr(os, "write", breaking)
    with pytest.raises(MemoryError):
        writes.make(one_each(pairs))
    held.set()
    writes.close()
