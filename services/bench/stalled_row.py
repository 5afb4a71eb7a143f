"""The row of readers that stop reading: what they cost the others, and what each of them makes the process hold.

The same number of sockets is measured with all of them reading, and with one in ten stalled, in turn. A stalled client
says hello, is live, and never reads again; its receive buffer is small, so that what it doesn't take waits on our side.
It is closed with 4002 after 15 s, later than the window.
"""

import base64
import contextlib
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection

from services.bench.bench import Bench
from services.bench.figures import Criterion, Figure, middle
from services.bench.live_rows import Audience, cpu_of, hello, lost, window

RATE = 1_000
SHARE = 10
"""One in so many sockets stalls."""
RECEIVE = 4_096
SAMPLE_EVERY = 2.0
"""Seconds between two looks at /metrics: each takes some milliseconds of the very process that is measured."""
_WAITING = re.compile(rb"^chorus_live_in_flight_bytes ([0-9.e+]+)$", re.MULTILINE)


def row_stalled(bench: Bench) -> Figure:
    """A hot channel with and without stalled readers."""
    stalled = bench.size.sockets // SHARE
    everybody, others = (
        Audience(sockets, ["topic:bench"]) for sockets in (bench.size.sockets, bench.size.sockets - stalled)
    )
    bench.stack.services("sequencer", "notify")
    ratios, held, besides, each = [], [], [], []
    for _ in range(bench.runs):
        with _stalled(bench.stack.ports["notify"], 0):  # whoever looks at /metrics costs both the same
            well = window(bench, everybody, RATE, bench.size.seconds)
        with _stalled(bench.stack.ports["notify"], stalled) as waiting:
            beside = window(bench, others, RATE, bench.size.seconds)
        each.append(f"{well.read['p99_ms']:.1f} / {beside.read['p99_ms']:.1f}")
        ratios.append(beside.read["p99_ms"] / well.read["p99_ms"])
        held.append(max(waiting, default=0) / stalled / 1024)
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
        reason=lost(besides),
    )


@contextlib.contextmanager
def _stalled(port: int, count: int) -> Iterator[list[float]]:
    """So many clients that don't read; the list fills with the bytes that wait in all of notify's write buffers."""
    samples: list[float] = []
    done = threading.Event()
    sampler = threading.Thread(target=_sample, args=(port, done, samples))
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(contextlib.closing(_listener(port)))
        sampler.start()
        try:
            yield samples
        finally:
            done.set()
            sampler.join()


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
    text = hello(["topic:bench"])
    client.sendall(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)
    _read_until(client, b'"subscribed"')
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
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            found = _WAITING.search(connection.getresponse().read())
        except OSError:
            continue
        finally:
            connection.close()
        if found is not None:
            samples.append(float(found[1]))
