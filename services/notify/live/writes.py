"""The writes of one slice of a round, made side by side: by the loop's thread, and by one that helps it.

A write to a loopback socket is 10 µs of the kernel's work, in which nobody needs Python: two threads make those of a
round in two thirds of the time (measured). `make` returns when all is written and the helper rests: until then no
socket is closed, and no descriptor given to another.
"""

import os
import threading
from collections import deque
from collections.abc import Sequence

HELPED = 24
"""Writes from which on it pays to call the helper."""

Write = tuple[int, bytes, int]
"""A descriptor that does not block, the bytes for it, and the lane that both belong to."""


class Writes:
    """Makes writes; its helper comes with the first that are many."""

    def __init__(self) -> None:
        self._todo: deque[Write] = deque()
        self._left: list[tuple[int, bytes]] = []
        self._helper: threading.Thread | None = None
        self._alone = os.cpu_count() == 1
        self._call, self._done = threading.Lock(), threading.Lock()  # held, but for a moment
        self._call.acquire()
        self._done.acquire()
        self._broke: BaseException | None = None
        self._over = False

    def make(self, todo: Sequence[Write]) -> list[tuple[int, bytes]]:
        """Everything is with the kernel; returns what it did not take, by lane: it is full there, or the socket broke.

        No lane may be there twice."""
        self._todo.extend(todo)
        called = len(todo) >= HELPED and not self._alone
        if called:
            self._call_help()
        self._work()
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

    def _call_help(self) -> None:
        if self._helper is None:
            self._helper = threading.Thread(target=self._help, name="writes", daemon=True)
            self._helper.start()
        self._call.release()

    def _help(self) -> None:
        while self._call.acquire() and not self._over:
            try:
                self._work()
            except BaseException as error:
                self._broke = error
            finally:
                self._done.release()

    def _work(self) -> None:
        """Until nothing is left to begin; each write is begun by one of the two threads."""
        todo = self._todo
        while todo:
            try:
                descriptor, frames, lane = todo.popleft()
            except IndexError:  # the other one took it
                return
            try:
                sent = os.write(descriptor, frames)
            except OSError:  # full, or broken: the transport finds out, and knows what to do
                sent = 0
            if sent < len(frames):
                self._left.append((lane, frames[sent:]))
