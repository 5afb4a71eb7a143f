"""A round's writes: each made once and whole, whichever thread made it, and whatever the kernel did not take."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.notify.live import writes as writes_module
from services.notify.live.writes import Writes

Pair = tuple[socket.socket, socket.socket]


class Kept:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.held = b""

    def write(self, data: bytes) -> None:
        self.held += data


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


def add_one_each(writes: Writes, pairs: list[Pair]) -> None:
    """A byte to each."""
    for near, _ in pairs:
        writes.add(near.fileno(), b"x", Kept())


@pytest.mark.parametrize("many", [5, 100], ids=["alone", "with help"])
def test_each_write_is_made_once(writes: Writes, pairs: list[Pair], many: int) -> None:
    for turn in range(50):
        for number, (near, _) in enumerate(pairs[:many]):
            writes.add(near.fileno(), b"%d:%d;" % (turn, number), Kept())
        writes.make()
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
    add_one_each(writes, pairs)
    writes.make()
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
    add_one_each(writes, pairs)
    writes.make()
    assert ended.is_set()


def test_who_helps_and_never_comes_is_not_waited_for(
    writes: Writes, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    add_one_each(writes, pairs)
    writes.make()
    assert all(far.recv(10) == b"x" for _, far in pairs)
    monkeypatch.undo()
    writes._helper = None  # there is none to end


def test_what_the_kernel_does_not_take_is_the_transport_s(writes: Writes, pairs: list[Pair]) -> None:
    full, broken, gone = (Kept() for _ in range(3))
    words = b"0123456789" * 100_000
    pairs[1][1].close()
    writes.add(pairs[0][0].fileno(), words, full)
    writes.add(pairs[1][0].fileno(), b"into a broken pipe", broken)
    writes.add(2**20, b"to nobody", gone)
    writes.make()
    taken = len(words) - len(full.held)
    assert 0 < taken < len(words)
    assert pairs[0][1].recv(len(words), socket.MSG_WAITALL | socket.MSG_DONTWAIT) + full.held == words
    assert (broken.held, gone.held) == (b"into a broken pipe", b"to nobody")


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
    add_one_each(writes, pairs)
    with pytest.raises(MemoryError):
        writes.make()


def test_a_few_writes_wake_nobody(writes: Writes, pairs: list[Pair]) -> None:
    add_one_each(writes, pairs[: writes_module.HELPED - 1])
    writes.make()
    assert writes._helper is None
