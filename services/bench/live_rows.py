"""The live rows: events at a rate to many sockets, resuming with positions, and what an idle socket costs.

Latency runs from the stamp before the INSERT to the reader's arrival, over every delivery, not over events.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import Any, NamedTuple

import msgspec

from services.bench.bench import Bench, cpu_note, now_us
from services.bench.figures import Criterion, Figure, middle
from services.bench.machine import CpuMeter, open_files, resident_kb
from services.bench.publisher import HELD, Plan, Sent, too_slow
from services.bench.tools import Readers, Report, ToolFailed, Worker, python_worker

WARMING = 1.5
"""Seconds of events before the window: connections, caches and the ring are as in the middle of a day."""

DRAINING = 20.0
"""Seconds after the last event in which deliveries still count; a system that needs more has lost the race."""


class Audience(NamedTuple):
    """Who listens: sockets spread evenly over channels."""

    sockets: int
    channels: list[str]

    @property
    def each(self) -> int:
        return self.sockets // len(self.channels)


class Run(NamedTuple):
    """One measured window."""

    sent: Sent
    read: Report
    seconds: float  # from the first stamp to the last arrival
    expected: int
    cpu: dict[str, float]

    @property
    def per_second(self) -> float:
        return float(self.read["delivered"] / self.seconds) if self.seconds else 0.0


def hello(channels: list[str], since: dict[str, Any] | None = None) -> bytes:
    """A guest's first frame."""
    position = {"since": since} if since else {}
    return msgspec.json.encode(
        {"type": "hello", "id": 1, "subscribe": [{"channel": channel, **position} for channel in channels]}
    )


def hot_channel(bench: Bench, rate: int) -> list[Run]:
    """Everybody on one channel."""
    return broadcast(bench, Audience(bench.size.sockets, ["topic:bench"]), rate)


def many_topics(bench: Bench, rate: int) -> list[Run]:
    """The same sockets over 50 topics, events to each in turn."""
    return broadcast(bench, Audience(bench.size.sockets, [f"topic:bench{n}" for n in range(50)]), rate)


def broadcast(bench: Bench, audience: Audience, rate: int) -> list[Run]:
    """One window for each run, each with fresh sockets and a fresh publisher."""
    bench.stack.services("sequencer", "notify")
    seconds = bench.size.slow_seconds if rate <= 100 else bench.size.seconds
    return [window(bench, audience, rate, seconds) for _ in bench.turns()]


def start_publisher(bench: Bench, channels: list[str], rate: float) -> Worker:
    """A publisher that is connected and waits for "go"."""
    stack = bench.stack
    plan = Plan(database_url=stack.postgres.url(), redis_url=stack.redis.url, channels=channels, rate=rate)
    worker = python_worker("services.bench.publisher", msgspec.json.encode(plan).decode())
    try:
        worker.answer(30)
    except ToolFailed:
        worker.end()
        raise
    return worker


def window(
    bench: Bench,
    audience: Audience,
    rate: int,
    seconds: float,
    beside: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Run:
    """One window with fresh sockets and a fresh publisher; `beside` is entered once they are connected."""
    hellos = [hello([channel]) for channel in audience.channels]
    publisher = start_publisher(bench, audience.channels, rate)
    try:
        readers = Readers(bench.tools, bench.stack.ports["notify"], audience.sockets, hellos)
        try:
            with beside():
                return _measured(bench, audience, publisher, readers, seconds)
        finally:
            readers.end()
    finally:
        publisher.end()


def _measured(bench: Bench, audience: Audience, publisher: Worker, readers: Readers, seconds: float) -> Run:
    start = now_us() + 100_000
    since = start + int(WARMING * 1e6)
    until = since + int(seconds * 1e6)
    meter = CpuMeter(bench.stack.pids())
    readers.measure(since, until)  # before the first event: a starved reader would forget what it had counted already
    publisher.tell(f"go {start} {since} {until}")
    time.sleep(max(0, since / 1e6 - time.time()))
    meter.start()
    began = time.monotonic()
    sent = msgspec.convert(publisher.answer(seconds + 60), Sent)
    shares = meter.shares(time.monotonic() - began)
    read = readers.report()
    shares_of_load = {"reader": 100 * read["cpu"] / read["wall"], "publisher": 100 * sent.cpu / seconds}
    expected = sent.events * audience.each
    read = _drained(readers, read, expected)
    took = max(seconds, (read["last_arrival_us"] - since) / 1e6)
    return Run(sent, read, took, expected, shares | {f"load:{name}": share for name, share in shares_of_load.items()})


def _drained(readers: Readers, read: Report, expected: int) -> Report:
    """The report once all is there, or nothing more comes for five seconds, or DRAINING is over."""
    deadline = moved = time.monotonic()
    deadline += DRAINING
    while read["delivered"] < expected and time.monotonic() < deadline and time.monotonic() - moved < 5:
        time.sleep(0.1)
        newer = readers.report()
        if newer["delivered"] > read["delivered"]:
            moved = time.monotonic()
        read = newer
    return read


def summarised(
    row: str, title: str, rate: int, runs: list[Run], criteria: tuple[Criterion, ...], bench: Bench
) -> Figure:
    """The figure of broadcast runs, with what was lost, who worked, and whether the rate was held."""
    expected, delivered = sum(run.expected for run in runs), sum(run.read["delivered"] for run in runs)
    gaps, repeats = sum(run.read["gaps"] for run in runs), sum(run.read["repeats"] for run in runs)
    closed = sum(run.read["closed"] for run in runs)
    last = runs[-1]
    held = median(run.sent.rate for run in runs)
    notes = [
        f"sent {held:,.0f} events/s, commits {last.sent.commit_p50_ms:.1f}"
        f" / {last.sent.commit_p99_ms:.1f} ms; delivered {delivered:,} of {expected:,}, {gaps} gaps, {repeats} repeats,"
        f" {closed} sockets closed; {last.read['bytes'] / max(1, last.read['reads']):,.0f} bytes a read",
        cpu_of(last),
        "each run: " + "; ".join(f"{run.read['p50_ms']:.1f} / {run.read['p99_ms']:.1f} ms" for run in runs),
    ]
    return Figure(
        row=row,
        title=title,
        criteria=criteria,
        limit=bench.limit,
        notes=tuple(notes),
        reason=lost(runs) or too_slow([run.sent for run in runs], rate),
    )


def lost(runs: list[Run]) -> str | None:
    """What was lost in these windows, in words; None when nothing was."""
    missing = sum(max(0, run.expected - run.read["delivered"]) for run in runs)
    gaps, closed = sum(run.read["gaps"] for run in runs), sum(run.read["closed"] for run in runs)
    if not (missing or gaps or closed):
        return None
    codes = [run.read["codes"] for run in runs if run.read["closed"]]
    return f"{missing:,} deliveries missing, {gaps} gaps, {closed} sockets closed {codes or ''}".rstrip()


def cpu_of(run: Run) -> str:
    """Who used the processor in a window."""
    load = {name.removeprefix("load:"): share for name, share in run.cpu.items() if name.startswith("load:")}
    return cpu_note({name: share for name, share in run.cpu.items() if not name.startswith("load:")}, load)


def latency(bench: Bench, runs: list[Run], p50: float | None, p99: float | None) -> tuple[Criterion, ...]:
    """Medians over runs against a p50 and a p99 in milliseconds; None: no such target."""
    wanted = (("p50", p50, "p50_ms"), ("p99", p99, "p99_ms"))
    return tuple(
        bench.scale.less(name, target, middle([run.read[field] for run in runs]))
        for name, target, field in wanted
        if target is not None
    )


def row_hot(bench: Bench, row: str, rate: int, p50: float | None, p99: float, per_second: float | None) -> Figure:
    """A hot-channel row; `per_second` is the rate of deliveries that it must reach (None: latency alone)."""
    runs = hot_channel(bench, rate)
    criteria = latency(bench, runs, p50, p99)
    if per_second is not None:
        target = per_second * bench.size.sockets / 1000
        wanted = bench.scale.more("deliveries", target, middle([run.per_second for run in runs]))
        offered = HELD * rate * bench.size.sockets  # however fast the machine: more can't be delivered
        criteria = (msgspec.structs.replace(wanted, target=min(wanted.target or offered, offered)), *criteria)
    return summarised(row, f"hot channel, {bench.size.sockets:,} sockets, {rate:,}/s", rate, runs, criteria, bench)


def row_topics(bench: Bench, row: str, rate: int, p50: float, p99: float) -> Figure:
    """Sockets over 50 topics."""
    runs = many_topics(bench, rate)
    title = f"{bench.size.sockets:,} sockets over 50 topics, {rate:,}/s"
    return summarised(row, title, rate, runs, latency(bench, runs, p50, p99), bench)


def row_idle(bench: Bench) -> Figure:
    """Resident memory that a socket adds to a fresh notify process once others are there."""
    wanted = min(bench.size.idle, open_files() - 1000)
    sizes = [_idle_kb(bench, wanted) for _ in range(bench.runs)]
    known = [size for size in sizes if size is not None]
    criterion = Criterion(name="each", unit="KB", better="less", target=28, ours=middle(known))
    return Figure(
        row="idle",
        title=f"memory of an idle socket with 3 subscriptions, {wanted:,} sockets",
        criteria=(criterion,),
        limit="none: not scaled",
        notes=("guests on a topic of 50, a post of 500 and a member of 500; kernel buffers are not counted",),
        reason=None if known else "this system does not tell a process's memory",
    )


def _idle_kb(bench: Bench, sockets: int) -> float | None:
    bench.stack.services("sequencer")
    bench.stack.restart("notify")
    pid = bench.stack.pids()["notify"] or 0
    hellos = [hello([f"topic:bench{n % 50}", f"post:{1 + n % 500}", f"member:{1 + n % 500}"]) for n in range(500)]
    port = bench.stack.ports["notify"]
    first = Readers(bench.tools, port, 100, hellos)  # what the first sockets load once is no socket's cost
    try:
        time.sleep(1)
        before = resident_kb(pid)
        others = Readers(bench.tools, port, sockets, hellos)
        try:
            time.sleep(1)
            after = resident_kb(pid)
        finally:
            others.end()
    finally:
        first.end()
    return None if before is None or after is None else (after - before) / sockets
