"""The writes of one slice of a round, made side by side: by the loop's thread, and by one that helps it.

A write to a loopback socket is 10 µs of the kernel's work, in which nobody needs Python: two threads make those of a
round in two thirds of the time (measured). The helper begins while more are added. `make` returns when all is written
and the helper rests: until then no socket is closed, and no descriptor given to another.
"""

import os
import threading
from collections import deque
from typing import NamedTuple, Protocol

HELPED = 24
"""Writes from which on it pays to call the helper."""


class Transport(Protocol):
    """Where what the kernel did not take goes."""

    def write(self, data: bytes) -> None:
        """Keeps it until the socket takes more; meets whatever broke."""


class Write(NamedTuple):
    """Bytes for a descriptor that does not block, and for the transport behind it what is left of them."""

    descriptor: int
    frames: bytes
    transport: Transport


class Writes:
    """`add` what is to be written, then `make` it, without an await between."""

    def __init__(self) -> None:
        self._todo: deque[Write] = deque()
        self._left: list[tuple[Transport, bytes]] = []
        self._helper: threading.Thread | None = None
        self._alone = os.cpu_count() == 1
        self._called = False
        self._call, self._done = threading.Lock(), threading.Lock()  # held, but for a moment
        self._call.acquire()
        self._done.acquire()
        self._broke: BaseException | None = None
        self._over = False

    def add(self, descriptor: int, frames: bytes, transport: Transport) -> None:
        """This is written by the next `make`, or sooner; nothing may wait in the transport."""
        self._todo.append(Write(descriptor, frames, transport))
        if len(self._todo) == HELPED and not self._called and not self._alone:
            self._call_help()

    def make(self) -> None:
        """Everything added is with the kernel, or with its transport."""
        self._work()
        if self._called:
            self._called = False
            if not self._call.acquire(blocking=False):  # else it never came: the processors have other things to do
                self._done.acquire()
            if self._broke is not None:
                raise self._broke
        if self._left:
            left, self._left = self._left, []
            for transport, frames in left:
                transport.write(frames)

    def close(self) -> None:
        """The helper goes. Twice is safe."""
        if self._helper is not None:
            self._over = True
            self._call.release()
            self._helper.join()
            self._helper = None

    def _call_help(self) -> None:
        if self._helper is None:
            self._helper = threading.Thread(target=self._help, name="writes", daemon=True)
            self._helper.start()
        self._called = True
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
                descriptor, frames, transport = todo.popleft()
            except IndexError:  # the other one took it
                return
            try:
                sent = os.write(descriptor, frames)
            except OSError:  # full, or broken: the transport finds out, and knows what to do
                sent = 0
            if sent < len(frames):
                self._left.append((transport, frames[sent:]))
