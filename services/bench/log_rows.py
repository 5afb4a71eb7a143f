"""The rows of the event log alone: from INSERT to a reader of the stream, and how fast a backlog is numbered."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import msgspec

from services.bench.bench import Bench, cpu_note, now_us
from services.bench.figures import Figure, middle
from services.bench.live_rows import start_publisher
from services.bench.machine import CpuMeter
from services.bench.publisher import Sent, too_slow
from services.bench.stack import STREAM, Stack, at_once
from services.bench.stream_reader import StreamReader

RATE = 1_000


def row_stream(bench: Bench) -> Figure:
    """INSERT to XREAD at 1,000 events a second."""
    figures = [_latencies(bench, bench.size.seconds) for _ in bench.turns()]
    return _figure(bench, "stream", "INSERT → read from the stream, 1,000/s", figures, 5, 12)


def row_stream_open(bench: Bench) -> Figure:
    """The same while another transaction has appended and does not end."""
    seconds = bench.size.open_seconds
    figures = []
    for _ in bench.turns():
        with open_transaction(bench.stack):
            figures.append(_latencies(bench, seconds))
    title = f"the same with a transaction open for {seconds:g} s"
    return _figure(bench, "stream-open", title, figures, 6, 20)


class _Window(msgspec.Struct):
    p50: float
    p99: float
    read: int
    sent: Sent
    cpu: str


def _latencies(bench: Bench, seconds: float) -> _Window:
    bench.stack.services("sequencer")
    bench.stack.settle()
    publisher = start_publisher(bench, ["topic:bench"], RATE)
    reader = StreamReader(bench.stack.redis.url, STREAM)
    try:
        start = now_us() + 100_000
        since, until = start + 1_000_000, start + 1_000_000 + int(seconds * 1e6)
        meter = CpuMeter(bench.stack.pids())
        reader.start(since, until)
        publisher.tell(f"go {start} {since} {until}")
        time.sleep(max(0, since / 1e6 - time.time()))
        meter.start()
        sent = msgspec.convert(publisher.answer(seconds + 60), Sent)
        load = {"reader": 100 * reader.cpu / seconds, "publisher": 100 * sent.cpu / seconds}
        cpu = cpu_note(meter.shares(seconds), load)
        found = reader.finish(sent.events, patience=10)
    finally:
        publisher.end()
        reader.end()
    return _Window(*(found or (0.0, 0.0, 0)), sent, cpu)


def _figure(bench: Bench, row: str, title: str, found: list[_Window], p50: float, p99: float) -> Figure:
    missing = sum(one.sent.events - one.read for one in found)
    last = found[-1]
    commit = f"{last.sent.commit_p50_ms:.1f} / {last.sent.commit_p99_ms:.1f} ms"
    criteria = (
        bench.scale.less("p50", p50, middle([one.p50 for one in found if one.read])),
        bench.scale.less("p99", p99, middle([one.p99 for one in found if one.read])),
    )
    return Figure(
        row=row,
        title=title,
        criteria=criteria,
        limit=f"{bench.limit}; one commit of ten events {commit}",
        notes=(f"sent {last.sent.rate:,.0f} events/s, {missing} missing", last.cpu),
        reason=f"{missing} events did not reach the stream in time"
        if missing
        else too_slow([one.sent for one in found], RATE),
    )


@contextmanager
def open_transaction(stack: Stack) -> Iterator[None]:
    """Another writer that has appended an event and holds its transaction for the length of the block."""
    opened, done = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(stack.postgres.url())
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT eventlog.append('bench', 'bench.late', ARRAY['topic:benchlate'], '{}'::bytea)")
        opened.set()
        while not done.wait(0.1):  # a thread of its own: nothing else runs on this loop
            pass
        await transaction.commit()
        await connection.close()

    thread = threading.Thread(target=lambda: at_once(hold()))
    thread.start()
    try:
        if not opened.wait(10):
            raise TimeoutError("the long transaction did not open")
        yield
    finally:
        done.set()
        thread.join()


def row_drain(bench: Bench) -> Figure:
    """A backlog that becomes visible at once, until its last event is in the stream."""
    bench.stack.services("sequencer")
    events, rates = bench.size.backlog, []
    for _ in bench.turns():
        bench.stack.settle()
        rates.append(events / _drain_seconds(bench.stack, events))
    return Figure(
        row="drain",
        title=f"sequencer, backlog of {events:,}",
        criteria=(bench.scale.more("numbered and published", 40_000, middle(rates)),),
        limit=bench.limit,
        notes=("200-byte events of one commit; from that commit to the last one in Redis",),
    )


def _drain_seconds(stack: Stack, events: int) -> float:
    before = stack.head()[1]
    stack.query(
        """SELECT count(eventlog.append('bench', 'bench.tick', ARRAY['topic:benchlog'], p.payload))
           FROM generate_series(1, $1::int),
                (SELECT convert_to(format('{"pad":"%s"}', repeat('x', 190)), 'UTF8')) p (payload)""",
        events,
    )
    began, deadline = time.monotonic(), time.monotonic() + 120
    with stack.redis_client() as client:
        while time.monotonic() < deadline:
            last = client.xinfo_stream(STREAM)["last-generated-id"]
            if int(last.split(b"-")[1]) >= before + events:
                return time.monotonic() - began
            time.sleep(0.005)
    raise TimeoutError(f"{events:,} events are not in the stream after 120 s")
