"""The row of one and of two notify processes on one port, the same audience and rate: printed side by side, no more.

On two cores that Postgres, Redis, the sequencer and the reader share, a second process has no core of its own: what it
buys here is that a slow moment of one holds up half of the audience.
"""

from services.bench.bench import Bench
from services.bench.figures import Criterion, Figure, middle
from services.bench.live_rows import Audience, Run, cpu_of, lost, window
from services.bench.stack import free_ports

RATE = 3_000


def row_workers(bench: Bench) -> Figure:
    """A hot channel on one process and on two."""
    audience = Audience(bench.size.sockets, ["topic:bench"])
    found: dict[int, list[Run]] = {}
    for workers in (1, 2):
        if workers == 1:
            bench.stack.restart("notify")
        else:  # each tells at a port of its own whether it is ready; at the one they share, any of them does
            first = free_ports(workers)
            options = ("--workers", str(workers), "--worker-ports", str(first))
            bench.stack.restart("notify", *options, ports=range(first, first + workers))
        bench.stack.services("sequencer")
        found[workers] = [window(bench, audience, RATE, bench.size.seconds) for _ in bench.turns()]
    bench.stack.restart("notify")
    return Figure(
        row="workers",
        title=f"one and two notify processes, {bench.size.sockets:,} sockets, {RATE:,}/s",
        criteria=tuple(
            Criterion(
                name=f"{name} p99",
                unit="ms",
                better="less",
                target=None,
                ours=middle([run.read["p99_ms"] for run in found[workers]]),
            )
            for workers, name in ((1, "one:"), (2, "two:"))
        ),
        limit=bench.limit,
        notes=tuple(
            f"{workers} of them: {middle([run.per_second for run in runs]) or 0:,.0f} deliveries/s,"
            f" p50 {middle([run.read['p50_ms'] for run in runs]) or 0:.1f} ms; {cpu_of(runs[-1])}"
            for workers, runs in found.items()
        ),
        reason=lost([run for runs in found.values() for run in runs]),
    )
