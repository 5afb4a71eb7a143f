"""Writes by io_uring: whole, in part, or refused, call after call, and what a kernel without it is told to be."""

import ctypes
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.notify.live import uring as uring_module
from services.notify.live.uring import ENTRIES, Uring

Pair = tuple[socket.socket, socket.socket]


def allowed() -> bool:
    """Asked of the system, not of our code."""
    if sys.platform != "linux":
        return False
    parameters = ctypes.create_string_buffer(120)
    descriptor = ctypes.CDLL(None).syscall(425, 1, parameters)  # io_uring_setup
    if descriptor >= 0:
        os.close(descriptor)
    return bool(descriptor >= 0)


pytestmark = pytest.mark.skipif(not allowed(), reason="this kernel has no io_uring, or doesn't let us use it")


@pytest.fixture
def ring() -> Iterator[Uring]:
    made = Uring()
    yield made
    made.close()
    made.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    with ExitStack() as stack:
        made = [socket.socketpair() for _ in range(ENTRIES)]
        for near, far in made:
            near.setblocking(False)
            stack.enter_context(near)
            stack.enter_context(far)
        yield made


def test_call_after_call_each_gets_its_own(ring: Uring, pairs: list[Pair]) -> None:
    for turn in range(300):  # places are used again, at other offsets each time
        some = pairs[: 1 + turn * 7 % ENTRIES]
        chunk = [(near.fileno(), b"%d:%d" % (turn, n) * (1 + n), n) for n, (near, _) in enumerate(some)]
        assert ring.write(chunk) == []
        for n, (_, far) in enumerate(some):
            assert far.recv(10_000) == b"%d:%d" % (turn, n) * (1 + n)


def test_one_block_for_all(ring: Uring, pairs: list[Pair]) -> None:
    block = os.urandom(3_000)
    assert ring.write([(near.fileno(), block, n) for n, (near, _) in enumerate(pairs)]) == []
    assert all(far.recv(10_000) == block for _, far in pairs)


def test_what_is_not_taken_comes_back_and_holds_up_nobody(ring: Uring, pairs: list[Pair]) -> None:
    words = b"0123456789" * 100_000
    (full, reader), (broken, gone), (near, far), *_ = pairs
    gone.close()
    for _ in range(50):
        [(lane, rest)] = ring.write([(full.fileno(), words, 7)])
        assert lane == 7
        read = b""
        while len(read) < len(words) - len(rest):
            read += reader.recv(len(words))
        assert read + rest == words
        assert rest
    ring.write([(full.fileno(), words, 7)])
    refused = [(full.fileno(), words, 7), (broken.fileno(), b"broken", 8), (2**20, b"nobody", 9)]
    assert ring.write([*refused, (near.fileno(), b"x", 1)]) == [(7, words), (8, b"broken"), (9, b"nobody")]
    assert far.recv(10) == b"x"


def test_what_the_kernel_has_no_memory_for_comes_back_and_the_ring_goes_on(
    ring: Uring, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = [(near.fileno(), b"x", n) for n, (near, _) in enumerate(pairs[:9])]
    call = ring._call

    def short(*arguments: object) -> int:
        if arguments[2] != 9:
            raise OSError("no memory")
        return call(arguments[0], arguments[1], 4, *arguments[3:])

    monkeypatch.setattr(ring, "_call", short)
    assert ring.write(chunk) == [(n, b"x") for n in range(4, 9)]
    monkeypatch.undo()
    assert ring.write(chunk[4:]) == []
    assert all(far.recv(10) == b"x" for _, far in pairs[:9])


def test_a_kernel_that_can_do_no_sends_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uring_module, "_SEND", 255)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="can't send"):
        Uring()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(sys.platform != "linux", reason="numbers of system calls are Linux's")
def test_a_kernel_without_rings_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uring_module, "_SETUP", 100_000)
    with pytest.raises(OSError, match="not implemented"):
        Uring()
