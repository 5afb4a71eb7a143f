"""Writes to many sockets in one system call, by Linux's io_uring (io_uring_setup(2), io_uring_enter(2)).

A write through `os.write` costs a system call, and gives up and takes back the interpreter's lock: with two threads at
it a third of what the kernel's own work takes (measured). Here one call makes a whole chunk, and no lock meanwhile.
Nothing stays under way: MSG_DONTWAIT makes every send complete within the call that submits it.
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress

ENTRIES = 64
"""Writes of one call at most; a power of two."""

Write = tuple[int, bytes, int]
"""A descriptor that does not block, the bytes for it, and the lane that both belong to."""
Left = tuple[int, bytes]
"""A lane, and what the kernel did not take of its bytes."""

# linux/io_uring.h: numbers of system calls (on every architecture of today), and the layout of what is shared.
_SETUP, _ENTER = 425, 426
_GETEVENTS = 1
_SEND = 26
_PARAMETERS, _FEATURES, _SQ_OFFSETS, _CQ_OFFSETS = 120, 20, 40, 80
_SINGLE_MMAP = 1
_AT_SQES = 0x10000000
_SQE = struct.Struct("=BBHiQQIIQ24x")  # opcode, flags, ioprio, fd, off, addr, len, msg_flags, user_data
_CQE = struct.Struct("=QiI")  # user_data, res, flags
_HOW = getattr(socket, "MSG_DONTWAIT", 0) | getattr(socket, "MSG_NOSIGNAL", 0)


class Uring:
    """One ring, for one thread at a time. Raises OSError where the system has none, or doesn't let us have one."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("io_uring is Linux's")
        try:
            self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        except (OSError, AttributeError, TypeError) as error:
            raise OSError(f"no system calls: {error}") from error
        self._syscall.restype = ctypes.c_long
        parameters = bytearray(_PARAMETERS)
        shared = (ctypes.c_char * _PARAMETERS).from_buffer(parameters)
        self._descriptor = self._call(_SETUP, ctypes.c_uint(ENTRIES), shared)
        try:
            self._map(parameters)
            self._try_out()
        except BaseException:
            self.close()
            raise

    def _map(self, parameters: bytearray) -> None:
        self._entries, self._completions = struct.unpack_from("=2I", parameters)
        if not struct.unpack_from("=I", parameters, _FEATURES)[0] & _SINGLE_MMAP:
            raise OSError("rings are mapped apart: Linux before 5.4")
        sq = struct.unpack_from("=10I", parameters, _SQ_OFFSETS)  # head, tail, mask, entries, flags, dropped, array, …
        cq = struct.unpack_from("=10I", parameters, _CQ_OFFSETS)  # head, tail, mask, entries, overflow, cqes, …
        size = max(sq[6] + 4 * self._entries, cq[5] + _CQE.size * self._completions)
        self._rings = memoryview(mmap.mmap(self._descriptor, size, offset=0))
        self._sqes = memoryview(mmap.mmap(self._descriptor, _SQE.size * self._entries, offset=_AT_SQES))
        words = [self._rings[at : at + 4].cast("I") for at in (sq[1], cq[0], cq[1])]
        self._sq_tail, self._cq_head, self._cq_tail = words
        self._cqes = self._rings[cq[5] : cq[5] + _CQE.size * self._completions]
        order = self._rings[sq[6] : sq[6] + 4 * self._entries].cast("I")
        for place in range(self._entries):
            order[place] = place

    def _try_out(self) -> None:
        """A kernel may have rings and no sends by them: then every one would fail, and nobody say so."""
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            if self.write([(near.fileno(), b"?", 0)]) or far.recv(1, socket.MSG_DONTWAIT) != b"?":
                raise OSError("rings can't send here")

    def write(self, chunk: Sequence[Write]) -> list[Left]:
        """Everything is with the kernel; returns what it did not take: it is full there, or the socket broke.

        The chunk has ENTRIES writes at most.
        """
        submitted = self._submit(chunk)
        head = self._cq_head[0]
        left = [(lane, frames) for _, frames, lane in chunk[submitted:]]
        for number, sent, _ in _CQE.iter_unpack(self._completed(head, submitted)):
            _, frames, lane = chunk[number]
            if sent < len(frames):
                left.append((lane, frames[max(sent, 0) :]))
        self._cq_head[0] = (head + submitted) & 0xFFFFFFFF
        return left

    def _submit(self, chunk: Sequence[Write]) -> int:
        """How many were begun, the first ones; fewer when the kernel has no memory for more just now."""
        pack, sqes, size, mask = _SQE.pack_into, self._sqes, _SQE.size, self._entries - 1
        tail, last, address = self._sq_tail[0], b"", 0
        for number, (descriptor, frames, _) in enumerate(chunk):
            if frames is not last:  # on a hot channel it is the same for all
                last, address = frames, ctypes.c_void_p.from_buffer(ctypes.c_char_p(frames)).value or 0
            pack(sqes, ((tail + number) & mask) * size, _SEND, 0, 0, descriptor, 0, address, len(frames), _HOW, number)
        self._sq_tail[0] = (tail + len(chunk)) & 0xFFFFFFFF
        submitted = 0
        with suppress(OSError):
            while submitted < len(chunk):  # a kernel may stop at an entry that it refuses, and goes on when asked again
                submitted += self._call(_ENTER, self._descriptor, len(chunk) - submitted, 0, _GETEVENTS, None, 0)
        self._sq_tail[0] = (tail + submitted) & 0xFFFFFFFF
        return submitted

    def _completed(self, head: int, count: int) -> memoryview | bytes:
        """Of each write its number in the chunk, and how many bytes were taken, negative when none."""
        if (self._cq_tail[0] - head) & 0xFFFFFFFF != count:
            raise AssertionError(f"{(self._cq_tail[0] - head) & 0xFFFFFFFF} of {count} sends completed")
        first = (head & (self._completions - 1)) * _CQE.size
        found = self._cqes[first : first + count * _CQE.size]
        if missing := count * _CQE.size - len(found):  # they go on at the ring's beginning
            return bytes(found) + bytes(self._cqes[:missing])
        return found

    def _call(self, *arguments: object) -> int:
        while (result := int(self._syscall(*arguments))) < 0:
            if (number := ctypes.get_errno()) != errno.EINTR:
                raise OSError(number, os.strerror(number))
        return result

    def close(self) -> None:
        """It takes no more writes; the kernel forgets it with the last reference to it. Twice is safe."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
