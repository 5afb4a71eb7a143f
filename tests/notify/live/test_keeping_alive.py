"""Nobody is closed for the want of a pong to a ping that was never sent."""

import asyncio
from typing import Any, cast

from services.notify.live.connection import Connection, Timing


class Slow:
    """A socket whose peer reads, slowly, and says nothing by itself."""

    def __init__(self) -> None:
        self.paused = True
        self.heard = asyncio.get_running_loop().time()
        self.written: list[bytes] = []
        self.codes: list[int] = []
        self.on_pause: object = None
        self.on_resume: object = None

    def waiting(self) -> int:
        return 300_000 if self.paused else 0

    def write(self, frames: bytes) -> None:
        self.written.append(frames)

    def end(self, code: int) -> None:
        self.codes.append(code)


async def test_a_slow_reader_that_drains_between_two_pings_is_not_4003() -> None:
    timing = Timing()
    timing.ping = 0.2
    protocol = Slow()
    connection = Connection(cast(Any, protocol), cast(Any, None), timing)
    await asyncio.sleep(0.3)  # the first ping was due while the buffer was full
    assert protocol.written == []
    protocol.paused = False
    await asyncio.sleep(0.2)
    assert protocol.codes == []
    assert len(protocol.written) == 1
    await asyncio.sleep(0.25)
    assert protocol.codes == [4003]
    connection.close()
