"""The row of readers that stop reading: what they cost the others, and what each of them makes the process hold.

All read, or one in ten has said hello and never reads again, in turn. The kernel takes some megabytes for who stalls,
so it is sent those first, on a channel of its own: the window begins when the rounds leave all of them out. They are
closed with 4002 after 15 s, later than the window.
"""

import base64
import contextlib
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection

from services.bench.bench import Bench
from services.bench.figures import Criterion, Figure, middle
from services.bench.live_rows import Audience, cpu_of, hello, lost, window
from services.bench.publisher import too_slow
from services.bench.stack import Stack
from services.bench.tools import ToolFailed

RATE = 1_000
SHARE = 10
"""One in so many sockets stalls."""
RECEIVE = 4_096
SAMPLE_EVERY = 2.0
"""Seconds between two looks at /metrics: each takes some milliseconds of the very process that is measured."""
WAITING, BEHIND = "chorus_live_in_flight_bytes", "chorus_live_sessions_behind"
FILL = 10, 3_500
"""Events of a transaction, and bytes of each, that fill the kernel's buffers: small beside any bound of ours."""
FILLS = 1_000
"""Such transactions at most: 35 MB, where Linux takes 4 to 6 for a socket unless told otherwise."""


def row_stalled(bench: Bench) -> Figure:
    """A hot channel with and without stalled readers."""
    stalled = bench.size.sockets // SHARE
    everybody, others = (
        Audience(sockets, ["topic:bench"]) for sockets in (bench.size.sockets, bench.size.sockets - stalled)
    )
    bench.stack.services("sequencer", "notify")
    ratios, held, wells, besides, each = [], [], [], [], []
    for _ in range(bench.runs):
        waiting: list[float] = []
        # Whoever looks at /metrics costs both the same.
        well = window(bench, everybody, RATE, bench.size.seconds, partial(_stalled, bench.stack, 0, []))
        beside = window(bench, others, RATE, bench.size.seconds, partial(_stalled, bench.stack, stalled, waiting))
        each.append(f"{well.read['p99_ms']:.1f} / {beside.read['p99_ms']:.1f}")
        ratios.append(beside.read["p99_ms"] / well.read["p99_ms"])
        if not waiting:
            raise ToolFailed("nobody could look at /metrics meanwhile")
        held.append(max(waiting) / stalled / 1024)
        wells.append(well)
        besides.append(beside)
    return Figure(
        row="stalled",
        title=f"{stalled} stalled sockets among {bench.size.sockets:,}, {RATE:,}/s",
        criteria=(
            Criterion(name="p99 of the others", unit="×", better="less", target=1.2, ours=middle(ratios)),
            Criterion(name="waiting for each", unit="KB", better="less", target=64, ours=middle(held)),
        ),
        limit="nobody stalled",
        notes=(
            f"p99 without and beside the stalled: {'; '.join(each)} ms; of those {lost(besides) or 'nothing was lost'}",
            cpu_of(beside),
        ),
        reason=lost(wells + besides) or too_slow([run.sent for run in wells + besides], RATE),
    )


@contextlib.contextmanager
def _stalled(stack: Stack, count: int, samples: list[float]) -> Iterator[None]:
    """So many clients that don't read and are behind; `samples` fills with the bytes that wait in all write buffers."""
    port = stack.ports["notify"]
    done = threading.Event()
    sampler = threading.Thread(target=_sample, args=(port, done, samples))
    with contextlib.ExitStack() as clients:
        for _ in range(count):
            clients.enter_context(contextlib.closing(_listener(port)))
        _fill(stack, count)
        sampler.start()
        try:
            yield
        finally:
            done.set()
            sampler.join()


def _fill(stack: Stack, count: int) -> None:
    """Returns when so many sessions are behind."""
    for _ in range(FILLS):
        if _gauge(stack.ports["notify"], BEHIND) >= count:
            return
        stack.query(
            """SELECT count(eventlog.append('bench', 'bench.fill', ARRAY['topic:benchfill'],
                                            convert_to(format('{"pad":"%s"}', repeat('x', $2::int)), 'UTF8')))
               FROM generate_series(1, $1::int)""",
            *FILL,
        )
    raise ToolFailed(f"fewer than {count} readers that do not read are behind")


def _listener(port: int) -> socket.socket:
    """A live client, which nobody reads from any more."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    client.sendall(
        f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: chorus.v1\r\n\r\n".encode()
    )
    _read_until(client, b"\r\n\r\n")  # RFC 6455: nothing is said before the handshake's answer
    text = hello(["topic:bench", "topic:benchfill"])
    client.sendall(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)
    _read_until(client, b'"channel":"topic:benchfill","as_of"')
    return client


def _read_until(client: socket.socket, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        more = client.recv(RECEIVE)
        if not more:
            raise ConnectionError(f"notify closed a client that was to stall: {seen[-200:]!r}")
        seen += more


def _sample(port: int, done: threading.Event, samples: list[float]) -> None:
    while not done.wait(SAMPLE_EVERY):
        with contextlib.suppress(OSError):
            samples.append(_gauge(port, WAITING))


def _gauge(port: int, name: str) -> float:
    """One of notify's own. Raises OSError."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/metrics")
        found = re.search(rf"^{name} ([0-9.e+]+)$", connection.getresponse().read().decode(), re.MULTILINE)
    if found is None:
        raise ToolFailed(f"notify tells no {name}")
    return float(found[1])
