"""Reads of a stream that wait, one for all tails of a process that stand at the same place.

The hub's tail and the notifier's wait at the head nearly always: two reads there would bring the same entries twice, in
the very moment in which open pages wait for them.
"""

import asyncio
from weakref import WeakValueDictionary

from redis.asyncio import Redis

from shared.eventlog.position import Position
from shared.eventlog.stream import Reading, Stream

PAGE = 1_000
"""Entries a read at most: some 10 ms of work for whoever takes it."""
BLOCK = 0.2
"""Seconds that a read of an idle stream waits: less than lies between two looks at Postgres's head, so that every
answer of his is taken up in time."""


class Read:
    """One read under way: `task` gives its Reading or raises what `Stream.read` raises, to each who joined it."""

    __slots__ = ("after", "joined", "task")

    def __init__(self, after: Position, task: "asyncio.Task[Reading]") -> None:
        self.after = after
        self.task = task
        self.joined = 0


class Reads:
    """The reads of one stream. Who joined one either takes its result or leaves it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._under_way: dict[Position, Read] = {}

    def join(self, after: Position) -> Read:
        """What comes after a position: the read that is under way there, or a new one."""
        read = self._under_way.get(after)
        if read is None or read.task.done():
            task = asyncio.create_task(self.stream.read(after, count=PAGE, block=BLOCK))
            read = self._under_way[after] = Read(after, task)
            task.add_done_callback(lambda _: self._forget(read))
        read.joined += 1
        return read

    def leave(self, read: Read) -> None:
        """Somebody who joined it wants it no longer. It ends with the last of them; what it raised then is nobody's."""
        read.joined -= 1
        if not read.joined:
            self._forget(read)  # at once: whoever joins now joins no read that is being cancelled
            read.task.add_done_callback(lambda task: task.cancelled() or task.exception())
            read.task.cancel()

    def _forget(self, read: Read) -> None:
        if self._under_way.get(read.after) is read:
            del self._under_way[read.after]


_shared: "WeakValueDictionary[tuple[int, int], Reads]" = WeakValueDictionary()


def reads_of(redis: "Redis", log: int) -> Reads:
    """The reads of log `log` through this client, the same for all who ask."""
    reads = _shared.get((id(redis), log))  # they hold the client, so no other one has its id while they are there
    if reads is None:
        reads = _shared[id(redis), log] = Reads(Stream(redis, log))
    return reads
