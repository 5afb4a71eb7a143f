"""The row of 5,000 clients that come back with positions, and the proof that Postgres was not asked for history.

They connect first and say hello together (those whose turn comes too late for the gateway's patience say it at once);
the clock runs from the first hello to the last `subscribed`. Events that each missed are counted, so nothing is lost.
"""

from typing import Any, NamedTuple

from services.bench.bench import Bench, cpu_note
from services.bench.figures import Criterion, Figure, middle
from services.bench.live_rows import hello
from services.bench.machine import CpuMeter, open_files
from services.bench.statements import Statement, logged
from services.bench.tools import Readers, Report

TOPICS = 50
MISSED = 1_000
"""Events that were published while they were away, over all topics: 20 for each client."""


class Return(NamedTuple):
    """One storm of reconnections."""

    read: Report
    expected: int
    reads_of_history: int
    cpu: dict[str, float]


def row_reconnect(bench: Bench) -> Figure:
    """All are live again, with all that they missed."""
    wanted = min(bench.size.clients, open_files() - 1000)
    found = [_come_back(bench, wanted) for _ in bench.turns()]
    last = found[-1].read
    reads = sum(one.reads_of_history for one in found)
    broken = sum(one.read["gaps"] + one.read["resets"] + one.read["closed"] for one in found)
    missing = sum(one.expected - one.read["events"] for one in found)
    reason = None
    if missing or broken or reads:
        reason = f"{missing} events missing, {broken} gaps, resets or closes, {reads} reads of history in Postgres"
    elif wanted < bench.size.clients:
        reason = f"only {wanted:,} clients: the open-file limit"
    return Figure(
        row="reconnect",
        title=f"{wanted:,} clients reconnect with positions, {MISSED // TOPICS} events missed by each",
        criteria=(
            bench.scale.less("all recovered", 5, middle([one.read["recovery_s"] for one in found]), "s"),
            Criterion(name="reads of history", unit="", better="less", target=0, ours=float(reads)),
        ),
        limit=bench.limit,
        notes=(
            f"connected in {last['upgrade_s']:.1f} s before that, {last['upgraded_at_hello']:,} of them at the first "
            f"hello; from their own hello p50 {last['recovery_p50_ms']:,.0f} ms, p99 {last['recovery_p99_ms']:,.0f} ms",
            cpu_note(found[-1].cpu, {"reader": 100 * last["cpu"] / last["wall"]}),
        ),
        reason=reason,
    )


def _come_back(bench: Bench, clients: int) -> Return:
    stack = bench.stack
    stack.services("sequencer", "notify")
    stack.settle()
    epoch, seq = stack.head()
    since: dict[str, Any] = {"epoch": epoch, "seq": [seq]}
    stack.query(
        """SELECT count(eventlog.append('bench', 'bench.tick', ARRAY['topic:bench' || n % $2], p.payload))
           FROM generate_series(1, $1::int) n,
                (SELECT convert_to(format('{"pad":"%s"}', repeat('x', 190)), 'UTF8')) p (payload)""",
        MISSED,
        TOPICS,
    )
    stack.settle()
    hellos = [hello([f"topic:bench{n}"], since) for n in range(TOPICS)]
    meter = CpuMeter(stack.pids())
    with logged(stack) as seen:
        meter.start()
        readers = Readers(bench.tools, stack.ports["notify"], clients, hellos, "together")
        opening = readers.opening
        shares = meter.shares(opening["wall"])
        readers.end()
    reads = sum(_reads_history(one) for one in seen)
    return Return(opening, clients * (MISSED // TOPICS), reads, shares)


def _reads_history(statement: Statement) -> bool:
    """Whether notify's tail or gateway asked for numbered entries.

    Looking at the head is not that, nor is the notifier's look at which requests caused a batch.
    """
    sql = statement.sql
    read = "eventlog.read(" in sql or ("eventlog.entry" in sql and "eventlog.event e" not in sql)
    return statement.role == "chorus_notify" and read
