"""Who numbers a log: the session that holds its advisory lock, on a connection of its own straight to Postgres.

The lock alone would let a paused leader keep everybody out, so the server ends a session that stays silent for three
seconds; and it would not stop one that wakes up late, so the head row's lock and the streams' last ids fence that.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

LOCKS = 4702
"""The first half of the advisory locks' keys; the second is the log's number."""
SILENCE_MS = 3_000
"""Milliseconds after which a leader that says nothing is replaced. It asks every 25 ms, so this is no close call."""
STAND_BY = 0.5
"""Seconds between two tries of a standby: often enough to be no idle session itself."""
WORK_MEM = "64MB"
"""What a window is sorted in: 200,000 events of 200 bytes. More goes to disk, and still works."""


@asynccontextmanager
async def session(url: str, log: int) -> AsyncIterator[Session]:
    """A session fit to lead: REPEATABLE READ, and ended by the server when it, or the way to it, falls silent."""
    connection = await asyncpg.connect(
        url,
        timeout=5,
        server_settings={
            "application_name": f"chorus sequencer {log}",
            "default_transaction_isolation": "repeatable read",
            "synchronous_commit": "on",
            "idle_session_timeout": str(SILENCE_MS),
            "idle_in_transaction_session_timeout": str(SILENCE_MS),
            "tcp_user_timeout": str(SILENCE_MS),
            "tcp_keepalives_idle": "1",
            "tcp_keepalives_interval": "1",
            "tcp_keepalives_count": "3",
            "lock_timeout": "2s",
            "work_mem": WORK_MEM,
            "jit": "off",
        },
    )
    _bound_silence(connection)
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=1)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()


async def stand_by(connection: Session, log: int) -> None:
    """Returns when this session leads `log`."""
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCKS, log):  # noqa: ASYNC110
        await asyncio.sleep(STAND_BY)


def _bound_silence(connection: Session) -> None:
    """Our own end gives up as early as the server's: a leader that is cut off should notice, and stand by again."""
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None and sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
