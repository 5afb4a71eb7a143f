"""One run of the bench: servers up, the machine's limits, each row in turn. A row that breaks is printed too."""

import time
import traceback
from collections.abc import Callable, Sequence

from services.bench import machine
from services.bench.bench import Bench
from services.bench.figures import REFERENCE_RAW_MS, Figure
from services.bench.rows import ROWS
from services.bench.stack import Stack
from services.bench.tools import Tools
from services.embedded import Engine

Say = Callable[[str], None]

_SAID = {"yes": "reached", "no": "not reached", "": "nothing claimed"}

QUIET = 1.5
"""How far two looks at the raw write may be apart; on an idle machine they differ by a fifth."""


def unknown_rows(names: Sequence[str]) -> list[str]:
    """The names that no row has."""
    return [name for name in names if name not in ROWS]


def measure(names: Sequence[str], *, runs: int, quick: bool, say: Say) -> tuple[list[Figure], list[str], list[float]]:
    """Figures of the named rows (none: all), what to print above them, and all looks at the raw write.

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
        return figures, _heading(bench, [line for line in (files, tools.warning) if line]), bench.looks
    finally:
        stack.stop()


def _row(bench: Bench, name: str, say: Say) -> Figure:
    say(f"{name} …")
    began = time.monotonic()
    bench.begin_row()
    try:
        figure = ROWS[name](bench)
    except Exception as error:  # one row that can't be measured costs no other
        say("".join(traceback.format_exception(error)))
        return Figure(row=name, title="could not be measured", reason=f"{type(error).__name__}: {error}")
    say(f"{name} took {time.monotonic() - began:.0f} s: {_SAID[figure.verdict]}")
    return figure


def _engine(engine: Engine) -> str:
    """Without its path: figures are published."""
    return f"{engine.name} {engine.version} ({engine.origin})"


def _heading(bench: Bench, warnings: list[str]) -> list[str]:
    stack, looks = bench.stack, bench.looks
    durable = "fsync on" if stack.query("SHOW fsync")[0][0] == "on" else "FSYNC OFF"
    lines = [
        machine.name(),
        f"{_engine(stack.postgres.engine)}, {durable} · {_engine(stack.redis.engine)}",
        f"runs: {bench.runs}, of {bench.size.seconds:g} s or more, medians",
    ]
    if looks:
        lines.append(
            f"raw write to 1,000 sockets: {min(looks):.1f} to {max(looks):.1f} ms in {len(looks)} looks, reference"
            f" {REFERENCE_RAW_MS} ms: targets are scaled by the looks beside each row; × stated: unscaled"
        )
    if bench.quick:
        lines.append("QUICK: small and short, shows that everything works; compare with nothing.")
    if looks and max(looks) > QUIET * min(looks):
        lines.append("NOT QUIET: raw writes were faster and slower in turn; somebody else was using this machine.")
    return lines + warnings
