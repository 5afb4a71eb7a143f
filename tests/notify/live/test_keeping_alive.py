"""Nobody is closed for the want of a pong to a ping that was never sent."""

import asyncio
from typing import Any, cast

import pytest

from services.notify.live.connection import Connection, Timing
from shared import clock, web_heads
from tests.live_client import LiveClient
from tests.notify.live.house import House, eventually, house_of
from tests.servers import Database


class Slow:
    """A socket whose peer reads, slowly, and says nothing by itself."""

    def __init__(self) -> None:
        self.paused = True
        self.heard = clock.monotonic()
        self.written: list[bytes] = []
        self.codes: list[int] = []
        self.on_pause: object = None
        self.on_resume: object = None

    def waiting(self) -> int:
        return 300_000 if self.paused else 0

    def write(self, frames: bytes) -> None:
        self.written.append(frames)

    def tell(self, frames: bytes) -> None:
        self.write(frames)

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


class Behind(Slow):
    """A socket to which more is written than its peer reads."""

    reads = True

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def waiting(self) -> int:
        self.steps += 1
        return 100_000 + self.steps

    def taken(self) -> int:
        return self.steps if self.reads else 0


async def test_a_peer_that_reads_on_is_not_4002_however_much_more_is_written() -> None:
    timing = Timing()
    timing.stall = 0.2
    protocol = Behind()
    connection = Connection(cast(Any, protocol), cast(Any, None), timing)
    cast(Any, protocol.on_pause)()
    await asyncio.sleep(0.5)
    assert protocol.codes == []
    protocol.reads = False
    await asyncio.sleep(0.5)
    assert protocol.codes == [4002]
    connection.close()


async def test_a_socket_outlives_the_time_that_a_request_may_take(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_heads, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(web_heads, "BODY_SECONDS", 0.1)
    async with LiveClient(house.url) as client:
        await asyncio.sleep(0.4)  # both times have run out
        await client.send({"type": "ping", "id": 9})
        await client.until(lambda: client.latest == {"type": "pong", "id": 9})


async def test_a_clock_that_is_moved_an_hour_closes_nobody(database: Database) -> None:
    async with house_of(database, ping_interval=1) as house, LiveClient(house.url) as client:
        session = next(iter(house.hub.sessions))
        try:
            for number, moved in enumerate((3600, -3600)):
                clock.move(moved)
                for _ in range(2):  # a ping each, and its pong
                    heard = session.outlet.heard
                    await eventually(lambda heard=heard: session.outlet.heard > heard)  # type: ignore[misc]
                await client.send({"type": "ping", "id": number})
                await client.until(lambda number=number: client.latest == {"type": "pong", "id": number})  # type: ignore[misc]
        finally:
            clock.move(0)
