"""One run of the bench: servers up, the machine's limits, each row in turn. A row that breaks is printed too."""

import time
import traceback
from collections.abc import Callable, Sequence

from services.bench import machine
from services.bench.bench import Bench
from services.bench.figures import REFERENCE_RAW_MS, Figure, Scale
from services.bench.rows import ROWS
from services.bench.stack import Stack
from services.bench.tools import Tools
from services.embedded import Engine

Say = Callable[[str], None]

QUIET = 1.5
"""How much slower a raw write may be at the end; on an idle machine two looks differ by a fifth."""


def unknown_rows(names: Sequence[str]) -> list[str]:
    """The names that no row has."""
    return [name for name in names if name not in ROWS]


def measure(names: Sequence[str], *, runs: int, quick: bool, say: Say) -> tuple[list[Figure], list[str], Scale]:
    """Figures of the named rows (none: all), what to print above them, and this machine's scale.

    `say` is told what is being done. Raises services.embedded.EngineUnavailable when a server can't be had.
    """
    files = machine.raise_open_files()
    stack = Stack()
    try:
        say("starting Postgres and Redis")
        stack.start()
        if not quick:
            stack.age()
        tools = Tools(stack.folder)
        bench = Bench(stack, tools, runs=runs, quick=quick)
        figures = [_row(bench, name, say) for name in (names or list(ROWS))]
        after = bench.raw_write_ms()
        heading = _heading(bench, after, [line for line in (files, tools.warning) if line])
        return figures, heading, bench.scale
    finally:
        stack.stop()


def _row(bench: Bench, name: str, say: Say) -> Figure:
    say(f"{name} …")
    began = time.monotonic()
    try:
        figure = ROWS[name](bench)
    except Exception as error:  # one row that can't be measured costs no other
        say("".join(traceback.format_exception(error)))
        return Figure(row=name, title="could not be measured", reason=f"{type(error).__name__}: {error}")
    say(f"{name} took {time.monotonic() - began:.0f} s: {'reached' if figure.reached else 'not reached'}")
    return figure


def _engine(engine: Engine) -> str:
    """Without its path: figures are published."""
    return f"{engine.name} {engine.version} ({engine.origin})"


def _heading(bench: Bench, raw_after: float, warnings: list[str]) -> list[str]:
    stack, scale = bench.stack, bench.scale
    durable = "fsync on" if stack.query("SHOW fsync")[0][0] == "on" else "FSYNC OFF"
    lines = [
        machine.name(),
        f"{_engine(stack.postgres.engine)}, {durable} · {_engine(stack.redis.engine)}",
        f"runs: {bench.runs}, of {bench.size.seconds:g} s or more, medians; raw write to 1,000 sockets:"
        f" {scale.raw_ms:.1f} ms before, {raw_after:.1f} ms after, reference {REFERENCE_RAW_MS} ms:"
        f" targets that depend on the machine are × {scale.factor:.2f}",
    ]
    if bench.quick:
        lines.append("QUICK: small and short, shows that everything works; compare with nothing.")
    if raw_after > QUIET * scale.raw_ms:
        lines.append("NOT QUIET: raw writes became slower during the run; somebody else was using this machine.")
    return lines + warnings
