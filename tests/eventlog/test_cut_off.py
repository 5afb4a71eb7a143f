"""A leader whose way to Postgres is cut: both ends give up, the server's by its settings, ours by asking elsewhere."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from services.bench.stack import free_port
from services.embedded import Postgres
from services.torture.proxy import Proxy
from shared.eventlog import leadership
from shared.eventlog.leadership import SILENCE_MS, session, stand_by
from shared.eventlog.sequencer import Sequencer
from shared.postgres import migrate
from tests.eventlog.rig import PATIENCE, Rig, until
from tests.servers import Database, at_once, server_folder


@pytest.fixture
def over_tcp() -> Iterator[str]:
    """The address of an unmigrated Postgres that listens on loopback too."""
    port = free_port()
    listening = {"listen_addresses": "127.0.0.1", "port": str(port)}
    with server_folder() as folder:
        server = Postgres(folder / "pg", durable=False, settings=listening)
        server.start()
        try:
            yield f"postgresql://chorus@127.0.0.1:{port}/chorus"
        finally:
            server.stop(grace=3)


async def test_silence_on_the_way_ends_a_leader_at_both_ends(over_tcp: str) -> None:
    async with session(over_tcp, 0) as connection:
        rows = await connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE name ~ '^(tcp|idle_session|idle_in)_'"
        )
        theirs = {row["name"]: int(row["setting"]) for row in rows}
        transport = connection._transport
        ours: socket.socket = transport.get_extra_info("socket")
        assert ours.family == socket.AF_INET
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENCE_MS
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1
    # Over TCP Postgres reads these back from its socket, so that they are what holds and not what was asked for.
    assert theirs == {
        "tcp_user_timeout": SILENCE_MS,
        "tcp_keepalives_idle": 1,
        "tcp_keepalives_interval": 1,
        "tcp_keepalives_count": 3,
        "idle_session_timeout": SILENCE_MS,
        "idle_in_transaction_session_timeout": SILENCE_MS,
    }


@pytest.fixture
async def hole(over_tcp: str) -> AsyncIterator[Proxy]:
    """A way to that Postgres which can swallow everything, and acknowledge it."""
    address = urlsplit(over_tcp)
    proxy = Proxy("postgres", lambda: asyncio.open_connection(address.hostname, address.port))
    await proxy.start()
    yield proxy
    proxy.heal()
    await proxy.stop()


@pytest.fixture
async def rig(over_tcp: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """One log without Redis on that Postgres, and a short patience."""
    monkeypatch.setattr(leadership, "SILENCE_MS", 500)
    monkeypatch.setattr(leadership, "LOST_AFTER", 0.4)
    at_once(migrate(over_tcp))
    async with Rig(Database("chorus", over_tcp, over_tcp, over_tcp), None) as rig:
        yield rig


def through(hole: Proxy, url: str) -> str:
    return urlsplit(url)._replace(netloc=f"chorus@127.0.0.1:{hole.port}").geturl()


async def test_a_leader_in_a_black_hole_notices_and_leads_again(over_tcp: str, hole: Proxy, rig: Rig) -> None:
    cut_off = Sequencer(0, url=through(hole, over_tcp), pool=rig.pool)
    async with rig.running(cut_off):
        await asyncio.wait_for(cut_off.leading.wait(), PATIENCE)
        hole.there.open.clear()
        hole.back.open.clear()
        await rig.write(3)
        await until(lambda: is_idle(cut_off))
        assert hole.there.held
        hole.heal()
        await rig.settle()
        await asyncio.wait_for(cut_off.leading.wait(), PATIENCE)
    await rig.check()


async def is_idle(sequencer: Sequencer) -> bool:
    return not sequencer.leading.is_set()


async def test_a_leader_that_falls_silent_in_the_middle_of_a_question_is_replaced(
    over_tcp: str, hole: Proxy, rig: Rig
) -> None:
    async with session(through(hole, over_tcp), 0) as mute:
        await stand_by(mute, 0)
        hole.back.open.clear()
        # The server answers that it has parsed this, and waits for what comes next.
        waiting = asyncio.create_task(mute.prepare("SELECT 'something new'"))
        await rig.write(3)
        async with rig.running(rig.sequencer()):
            await rig.settle()
        assert hole.back.held
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
    await rig.check()
