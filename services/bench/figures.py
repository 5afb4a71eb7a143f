"""What a row says: criteria with a target and our figure, the limit beside it, and how the table is printed.

A target that depends on the machine is scaled by its raw-write limit before it gets here. Nothing fails for being slow.
"""

from statistics import median
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

REFERENCE_RAW_MS = 8.6
"""Milliseconds of a bare write to 1,000 sockets on the machine that section 9's figures come from."""

WIDTH = 118


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """One figure with its target, None where none is claimed; `ours` None: it could not be measured. `unit` is for the
    reader. `stated`: the target before it was scaled; None where it does not depend on the machine."""

    name: str
    unit: str
    better: Literal["less", "more"]
    target: float | None
    ours: float | None
    stated: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better than the target: 1 or more is reached."""
        return None if self.target is None else self._ratio(self.target)

    @property
    def stated_ratio(self) -> float | None:
        """The same against `stated`."""
        return None if self.stated is None else self._ratio(self.stated)

    def _ratio(self, target: float) -> float | None:
        if self.ours is None:
            return None
        if self.better == "more":
            return self.ours / target
        return target / self.ours if self.ours > 0 else float("inf")

    @property
    def reached(self) -> bool:
        if self.target is None:
            return self.ours is not None
        return self.ratio is not None and self.ratio >= 1


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `reason` says why it is not measured, or not reached although the figures look so."""

    row: str
    title: str
    criteria: tuple[Criterion, ...] = ()
    limit: str = ""
    notes: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def reached(self) -> bool:
        return self.reason is None and bool(self.criteria) and all(criterion.reached for criterion in self.criteria)

    @property
    def verdict(self) -> str:
        """`reached` in words; empty where all is measured and nothing has a target: it is printed, and no more."""
        if self.reached and all(criterion.target is None for criterion in self.criteria):
            return ""
        return "yes" if self.reached else "no"


class Scale(msgspec.Struct, frozen=True):
    """This machine against the reference: above 1 is slower, and targets are that much easier; below, harder."""

    raw_ms: float

    @property
    def factor(self) -> float:
        """Above 1 is slower."""
        return self.raw_ms / REFERENCE_RAW_MS

    def less(self, name: str, target: float, ours: float | None, unit: str = "ms") -> Criterion:
        """A duration that may not exceed the target, which grows with a slower machine."""
        return Criterion(name=name, unit=unit, better="less", target=target * self.factor, ours=ours, stated=target)

    def more(self, name: str, target: float, ours: float | None, unit: str = "/s") -> Criterion:
        """A rate that must reach the target, which shrinks with a slower machine."""
        return Criterion(name=name, unit=unit, better="more", target=target / self.factor, ours=ours, stated=target)


def middle(values: list[float]) -> float | None:
    """The median; None of nothing."""
    return median(values) if values else None


def shown(value: float | None) -> str:
    """A figure with as many digits as mean something."""
    if value is None:
        return "–"
    if value == float("inf"):
        return "∞"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def print_table(figures: list[Figure], heading: list[str], console: Console | None = None) -> None:
    """The heading's lines, a table with a line for each criterion, and every row's notes below it."""
    console = console or Console()
    console = console if console.is_terminal else Console(file=console.file, width=WIDTH)
    for line in heading:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    table = Table(show_lines=False, pad_edge=False)
    for column in ("row", "what"):
        table.add_column(column, overflow="fold")
    for column in ("target", "ours", "× target", "× stated"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("limit of this machine", overflow="fold")
    table.add_column("reached")
    for figure in figures:
        _add(table, figure)
    console.print(table)
    for figure in figures:
        for note in (*figure.notes, *([f"not reached: {figure.reason}"] if figure.reason else [])):
            console.print(f"{figure.row}: {note}", markup=False, highlight=False, soft_wrap=True)


def _add(table: Table, figure: Figure) -> None:
    if not figure.criteria:
        table.add_row(figure.row, figure.title, "", "–", "", "", figure.limit, "no")
    for number, criterion in enumerate(figure.criteria):
        first = number == 0
        sign = "≤" if criterion.better == "less" else "≥"
        table.add_row(
            figure.row if first else "",
            f"{figure.title}: {criterion.name}" if first else f"… {criterion.name}",
            "" if criterion.target is None else f"{sign} {shown(criterion.target)} {criterion.unit}",
            f"{shown(criterion.ours)} {criterion.unit}",
            "" if criterion.target is None else shown(criterion.ratio),
            "" if criterion.stated is None else shown(criterion.stated_ratio),
            figure.limit if first else "",
            figure.verdict if first else "",
        )
    table.add_section()


def as_json(figures: list[Figure], heading: list[str], looks: list[float]) -> bytes:
    """The same for machines: every figure with `reached`, and all looks at the raw-write limit."""
    rows = [
        {
            **msgspec.to_builtins(figure),
            "criteria": [
                {
                    **msgspec.to_builtins(one),
                    "ratio": one.ratio,
                    "stated_ratio": one.stated_ratio,
                    "reached": one.reached,
                }
                for one in figure.criteria
            ],
            "reached": figure.reached,
        }
        for figure in figures
    ]
    return msgspec.json.encode(
        {"about": heading, "raw_write_ms": looks, "reference_raw_write_ms": REFERENCE_RAW_MS, "rows": rows}
    )
