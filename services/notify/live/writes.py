"""The writes of one slice of a round, made side by side: by the loop's thread, and by one that helps it.

A write to a loopback socket is 5 to 10 µs of the kernel's work, in which nobody needs Python: two threads, a chunk at
a time each, are done sooner than one while a processor is idle, and no later while none is (measured). `make` returns
when all is written and the helper rests: until then no socket is closed, and no descriptor given to another.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence

from services.notify.live.uring import ENTRIES, Left, Uring, Write
from shared.telemetry import get_logger

log = get_logger(__name__)

CHUNK = ENTRIES
"""Writes that a thread takes at a time, at most."""
CHUNK_OF_SINGLES = 8
"""The same where each is a system call: nothing is gained by more, and who is done first waits for the other."""
HELPED = 24
"""Writes from which on it pays to call the helper."""

Hand = Callable[[Sequence[Write]], list[Left]]
"""Makes the writes of one chunk; returns what the kernel did not take."""


def one_by_one(chunk: Sequence[Write]) -> list[Left]:
    """A system call each: what every system has."""
    left = []
    for descriptor, frames, lane in chunk:
        try:
            sent = os.write(descriptor, frames)
        except OSError:  # full, or broken: the transport finds out, and knows what to do
            sent = 0
        if sent < len(frames):
            left.append((lane, frames[sent:]))
    return left


class Writes:
    """Makes writes; its helper comes with the first that are many. `hands`: how, when given, of the loop's thread and
    the helper's; else by io_uring where the system lets us, one by one where it doesn't."""

    def __init__(self, hands: tuple[Hand, Hand] | None = None) -> None:
        self._hands = hands
        self._rings: list[Uring] = []
        self._chunk = CHUNK
        self._todo: deque[Sequence[Write]] = deque()
        self._left: list[Left] = []
        self._helper: threading.Thread | None = None
        self._alone = os.cpu_count() == 1
        self._call, self._done = threading.Lock(), threading.Lock()  # held, but for a moment
        self._call.acquire()
        self._done.acquire()
        self._broke: BaseException | None = None
        self._over = False

    def make(self, todo: Sequence[Write]) -> list[Left]:
        """Everything is with the kernel; returns what it did not take, by lane: it is full there, or the socket broke.

        No lane may be there twice."""
        hand, _ = self._hands or self._open()
        called = len(todo) >= HELPED and not self._alone
        size = min(self._chunk, -(-len(todo) // 2)) if called else self._chunk
        self._todo.extend(todo[first : first + size] for first in range(0, len(todo), size))
        if called:
            self._call_help()
        self._work(hand)
        if called and not self._call.acquire(blocking=False):  # else it never came: processors have other things to do
            self._done.acquire()
        if self._broke is not None:
            raise self._broke
        left, self._left = self._left, []
        return left

    def close(self) -> None:
        """The helper goes. Twice is safe, and so it is after `make` has raised."""
        if self._helper is not None:
            self._over = True
            if self._call.locked():
                self._call.release()
            self._helper.join()
            self._helper = None
        for ring in self._rings:
            ring.close()
        self._rings.clear()
        self._hands = None  # what a ring has mapped goes with the last who knows it

    def _open(self) -> tuple[Hand, Hand]:
        try:
            for _ in range(2):
                self._rings.append(Uring())
            self._hands = self._rings[0].write, self._rings[1].write
        except OSError as error:  # containers often forbid it
            log.info("writes_one_by_one", why=str(error))
            self._hands, self._chunk = (one_by_one, one_by_one), CHUNK_OF_SINGLES
        return self._hands

    def _call_help(self) -> None:
        if self._helper is None:
            self._helper = threading.Thread(target=self._help, name="writes", daemon=True)
            self._helper.start()
        self._call.release()

    def _help(self) -> None:
        assert self._hands is not None  # noqa: S101 - `make` has seen to it
        _, hand = self._hands
        while self._call.acquire() and not self._over:
            try:
                self._work(hand)
            except BaseException as error:
                self._broke = error
            finally:
                self._done.release()

    def _work(self, hand: Hand) -> None:
        """Until nothing is left to begin; each chunk is begun by one of the two threads."""
        todo = self._todo
        while todo:
            try:
                chunk = todo.popleft()
            except IndexError:  # the other one took it
                return
            self._left.extend(hand(chunk))
