"""What a round costs: everything encoded once, and one write for each socket, however much it brings."""

import asyncio

import pytest
import websockets

from services.notify.live import fanout
from services.notify.live import hub as hub_module
from services.notify.live.hub import FRAME
from services.notify.live.session import Session, Subscription
from shared.eventlog.entries import Entry
from tests.live_client import Proof
from tests.notify.live.house import House
from tests.notify.live.judge import Client
from tests.notify.live.test_closing import greeted
from tests.notify.live.test_hub import Stage


class Counted(Client):
    """Counts how often it was written to."""

    writes = 0

    def write(self, frames: bytes) -> None:
        self.writes += 1
        super().write(frames)


def crowd(stage: Stage, channels: tuple[str, ...], size: int = 5) -> list[Counted]:
    """So many more sessions that follow all the channels."""
    clients = []
    for _ in range(size):
        client = Counted(stage.truth)
        session = Session(client, 0.0)
        stage.hub.enter(session)
        for number, channel in enumerate(channels):
            proof = client.proofs[channel] = Proof(channel)
            proof.ask(number, None)
            client.folds[channel] = {}
            stage.recovery.start(session, Subscription(channel, number, None))
        client.writes = 0
        clients.append(client)
    return clients


def write(stage: Stage, *channels: str) -> None:
    """An event on these channels has come in."""
    seq = len(stage.truth[0]) + 1
    entry = Entry(seq, seq, "x", "2026-11-23T00:00:00.000Z", channels, b"{}")
    stage.truth[0].append(entry)
    stage.hub.take(0, [entry])


async def test_a_round_encodes_each_event_once_and_each_frame_once_a_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, made = Stage(), {"event_body": 0, "event_frame": 0}
    crowd(stage, ("topic:a", "topic:b"))

    def counting(name: str) -> None:
        make = getattr(fanout, name)

        def counted(*given: object) -> bytes:
            made[name] += 1
            frame: bytes = make(*given)
            return frame

        monkeypatch.setattr(fanout, name, counted)

    for name in made:
        counting(name)
    for _ in range(3):
        write(stage, "topic:a", "topic:b")
    await stage.hub.round()
    assert made == {"event_body": 3, "event_frame": 6}


async def test_a_round_is_one_write_for_each_socket() -> None:
    stage = Stage()
    clients = crowd(stage, ("topic:a", "topic:b"))
    for _ in range(3):
        write(stage, "topic:a", "topic:b")
    stage.hub.want_marks()
    await stage.hub.round()
    for client in clients:
        assert client.writes == 1
        kinds = [frame["type"] for frame in client.frames if frame["type"] != "subscribed"]
        assert kinds == ["event"] * 6 + ["mark"]


@pytest.mark.parametrize(("sockets", "half", "at_once"), [(4, False, False), (3, False, True), (4, True, True)])
async def test_large_rounds_leave_the_processors_a_pause_unless_half_of_the_next_is_here(
    monkeypatch: pytest.MonkeyPatch, sockets: int, half: bool, at_once: bool
) -> None:
    monkeypatch.setattr(hub_module, "SLICE", 4)
    monkeypatch.setattr(hub_module, "PAUSE", 3600)
    stage = Stage()
    clients = crowd(stage, ("topic:a",), sockets)
    rounds = asyncio.create_task(stage.hub.run())
    write(stage, "topic:a")
    await asyncio.sleep(0)
    if half:
        stage.hub.load = 2 * (FRAME + len("topic:a") + len(b"{}"))
        write(stage, "topic:a")  # the round under way has yielded, and does not bring it
    await settled()
    write(stage, "topic:a")
    await settled()
    handed = [[f["seq"] for f in client.frames if f["type"] == "event"] for client in clients]
    assert handed == [[1, 2] if at_once else [1]] * sockets
    rounds.cancel()


async def settled() -> None:
    """Whatever needs no time has happened."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_what_comes_in_is_handed_out_in_its_order() -> None:
    stage = Stage()
    [client] = crowd(stage, ("topic:a",), 1)
    for _ in range(5):
        write(stage, "topic:a")
    await stage.hub.round()
    assert [frame["seq"] for frame in client.frames if frame["type"] == "event"] == [1, 2, 3, 4, 5]


async def test_nothing_is_compressed_though_it_is_offered(house: House) -> None:
    offered = websockets.connect(
        house.url, subprotocols=[websockets.Subprotocol("chorus.v1")], compression="deflate", ping_interval=None
    )
    async with offered as socket:
        await greeted(socket)
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
