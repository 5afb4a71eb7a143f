"""What one socket can make the process hold: never more than its write buffer, whatever it asks and leaves unread."""

import asyncio
import socket as sockets
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import msgspec
import pytest

from services.notify.live import metrics
from services.notify.live.followed import Followed
from services.notify.live.follower import parts
from services.notify.live.hub import Hub
from services.notify.live.protocol import LiveProtocol
from services.notify.live.ring import Ring
from shared.eventlog.entries import Entry
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, eventually, house_of, numbers
from tests.notify.live.test_closing import hurried, raw_peer, text_frame
from tests.servers import Database

BOUND = 65_536


@pytest.fixture
def peaks(monkeypatch: pytest.MonkeyPatch) -> dict[LiveProtocol, int]:
    """The most that ever waited to go out, by socket."""
    found: dict[LiveProtocol, int] = {}

    def watched(hands: Callable[..., Any]) -> Callable[..., Any]:
        def watching(self: LiveProtocol, *given: Any) -> Any:
            handed = hands(self, *given)
            found[self] = max(found.get(self, 0), self.waiting())
            return handed

        return watching

    monkeypatch.setattr(LiveProtocol, "write", watched(LiveProtocol.write))
    monkeypatch.setattr(LiveProtocol, "offer", watched(LiveProtocol.offer))
    return found


async def narrow(house: House, peer: sockets.socket) -> LiveProtocol:
    """The server's end of a connection, with a kernel buffer that hides nothing."""
    port = peer.getsockname()[1]
    outlets = [session.outlet for session in house.app.gateway._sockets]
    found = next(o for o in outlets if isinstance(o, LiveProtocol) and o.client is not None and o.client[1] == port)
    found.transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
    return found


async def test_who_asks_and_never_reads_is_not_heard_any_more_and_then_cut(
    database: Database, peaks: dict[LiveProtocol, int]
) -> None:
    async with house_of(database, timing=hurried(stall=0.5)) as house:
        with closing(await raw_peer(house)) as peer:
            await eventually(lambda: house.hub.sessions)
            protocol = await narrow(house, peer)
            names = [f"topic:{n:0100}" for n in range(128)]
            asked = text_frame({"type": "unsubscribe", "id": 7, "channels": names})
            peer.settimeout(5)
            before = metrics.CLOSES.labels(4002)._value.get()
            with suppress(OSError):  # nobody takes it any more
                await asyncio.to_thread(peer.sendall, asked * 35)  # below the flood's burst: 500 KB of answers
            await eventually(lambda: not house.app.gateway._sockets)
            assert metrics.CLOSES.labels(4002)._value.get() == before + 1
            assert BOUND // 4 < peaks[protocol] <= BOUND


async def test_stalled_readers_of_a_hot_channel_hold_no_more_than_the_bound(
    house: House, pen: Pen, peaks: dict[LiveProtocol, int]
) -> None:
    async with LiveClient(house.url) as healthy:
        topic = await healthy.subscribe("topic:a")
        peers = [await raw_peer(house, "topic:a") for _ in range(20)]
        await eventually(lambda: len(house.hub.channels["topic:a"].sessions) == 21)
        stalled = [await narrow(house, peer) for peer in peers]
        before = metrics.FELL_BEHIND._value.get()
        for _ in range(4):
            await pen.write_many(1_000, ["topic:a"], size=300)
        await healthy.events("topic:a", 4_000, 30)
        assert numbers(topic.events) == [*range(1, 1_001)] * 4
        await eventually(lambda: sum(s.behind is not None for s in house.hub.sessions) == 20)
        assert all(BOUND // 4 < peaks[each] <= BOUND for each in stalled)
        assert metrics.FELL_BEHIND._value.get() == before + 20, "who reads fell behind too, or a stalled one twice"
        for peer in peers:
            peer.close()


async def test_what_a_full_kernel_takes_in_part_goes_on_where_it_stopped(house: House) -> None:
    with closing(await raw_peer(house)) as peer:
        await eventually(lambda: house.hub.sessions)
        protocol = await narrow(house, peer)
        peer.settimeout(5)
        await asyncio.to_thread(received, peer, protocol.written)  # the welcome
        offered, lanes, lane = b"", house.hub._lanes, protocol._lane
        while not protocol.waiting():
            frames = b"%08d" % (len(offered) // 8) * 1_000
            assert lanes.hand([(lane, frames)]) == []
            offered += frames
        assert protocol.waiting() % 8_000, "each write was taken as a whole or not at all"
        reading = asyncio.create_task(asyncio.to_thread(received, peer, len(offered) + 6))
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - the kernel has room again, and the transport could not know it yet
        assert lanes.hand([(lane, b"and on")]) == []
        assert await reading == offered + b"and on"


def received(peer: sockets.socket, size: int) -> bytes:
    """The next bytes, so many."""
    found = b""
    while len(found) < size:
        found += peer.recv(size - len(found))
    return found


async def test_a_round_is_not_overloaded_what_comes_in_waits_for_the_next() -> None:
    hub = Hub(1, [Ring(0, 100, 0)], load=1_000)
    followed = hub.channels["topic:a"] = Followed([0])
    hub.take(0, [_entry(1, 900)])
    waiting = asyncio.ensure_future(hub.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert [e.seq for e in followed.queues[0]] == [1]
    await hub.round()
    await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(hub.room(), 5)


def test_a_batch_is_cut_into_parts_by_what_its_frames_weigh() -> None:
    entries = [_entry(n, 10 if n % 7 else 5_000) for n in range(1, 100)]
    cut = list(parts(entries, 2_000))
    assert [entry for part in cut for entry in part] == entries
    assert all(len(part) <= 10 for part in cut)
    assert all(len(part) == 1 or sum(len(e.payload) for e in part[:-1]) < 2_000 for part in cut)
    assert list(parts([], 2_000)) == []


def _entry(seq: int, size: int) -> Entry:
    return Entry(seq, seq, "x", "2026-11-23T00:00:00.000Z", ("topic:a",), msgspec.json.encode({"fill": "x" * size}))
