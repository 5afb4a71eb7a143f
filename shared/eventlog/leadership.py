"""Who numbers a log: the session that holds its advisory lock, on a connection of its own straight to Postgres.

The lock alone would let a paused leader keep everybody out, so the server ends a session that stays silent for three
seconds; and it would not stop one that wakes up late, so the head row's lock and the streams' last ids fence that.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from shared.clock import monotonic
from shared.eventlog.cancellation import Cancellation
from shared.postgres import POSTGRES_AWAY, Pool
from shared.telemetry import get_logger

log_ = get_logger(__name__)

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

LOCKS = 4702
"""The first half of the advisory locks' keys; the second is the log's number."""
SILENCE_MS = 3_000
"""Milliseconds after which a leader that says nothing is replaced. It asks every 25 ms, so this is no close call."""
LOST_AFTER = 5.0
"""Seconds without an answer after which a leader asks elsewhere whether it still leads. A long backlog may take as
long; but a way that swallows everything, and acknowledges it, would keep it waiting for ever."""
STAND_BY = 0.5
"""Seconds between two tries of a standby: often enough to be no idle session itself."""
WORK_MEM = "64MB"
"""What a window is sorted in: 200,000 events of 200 bytes. More goes to disk, and still works."""

# Who leads, and whether it fell silent in the middle of a question: between two messages of one statement no timeout of
# the server's runs. The middle is some 50 µs; but a process that is stopped there would lead for ever.
_LEADERS = """
SELECT pid, state = 'active' AND wait_event = 'ClientRead'
            AND state_change < clock_timestamp() - $3 * interval '1 ms' AS mute
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = $1::int::oid AND objid = $2::int::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_END_MUTE = f"SELECT pg_terminate_backend(pid) FROM ({_LEADERS}) leaders WHERE mute"  # noqa: S608
_LEADS = f"SELECT EXISTS (SELECT FROM ({_LEADERS}) leaders WHERE pid = $4 AND NOT mute)"  # noqa: S608


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
        except POSTGRES_AWAY:
            connection.terminate()


async def stand_by(connection: Session, log: int) -> None:
    """Returns when this session leads `log`."""
    asked, cancellation = "SELECT pg_try_advisory_lock($1, $2)", Cancellation()
    while not await connection.fetchval(asked, LOCKS, log, timeout=LOST_AFTER):
        ended = await connection.fetch(_END_MUTE, LOCKS, log, SILENCE_MS, timeout=LOST_AFTER)
        if ended:
            log_.warning("mute_leader_ended", log=log, sessions=len(ended))
        cancellation.heed()
        await asyncio.sleep(STAND_BY)


async def end_when_lost(connection: Session, log: int, pool: Pool, asked_at: Callable[[], float | None]) -> None:
    """Ends this session when Postgres has ended it and we were not told: whoever waits on it fails then.

    `asked_at()`: since when an answer is awaited (monotonic), None when none is. Ends only then, or by cancellation.
    """
    pid, cancellation = connection.get_server_pid(), Cancellation()
    while True:
        cancellation.heed()
        await asyncio.sleep(LOST_AFTER / 2)
        since = asked_at()
        if since is None or monotonic() - since < LOST_AFTER:
            continue
        with contextlib.suppress(*POSTGRES_AWAY):
            if not await pool.fetchval(_LEADS, LOCKS, log, SILENCE_MS, pid, timeout=LOST_AFTER):
                log_.warning("leader_lost_its_session", log=log)
                connection.terminate()
                return


def _bound_silence(connection: Session) -> None:
    """Our own end gives up as early as the server's: a leader that is cut off should notice, and stand by again."""
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None and sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
