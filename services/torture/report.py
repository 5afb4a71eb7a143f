"""What a run found, for people and as JSON."""

from collections import Counter
from typing import Any

import msgspec


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that was injected; without evidence it did not fire."""

    fault: str
    family: str
    round: int
    at: float
    evidence: str
    measured: dict[str, float] = {}


class Report(msgspec.Struct, kw_only=True):
    """One run. `wrong` empty: everything held, and every fault fired."""

    seed: str
    seconds: float = 0.0
    logs: int = 1
    sequencers: int = 1
    clients: int = 0
    fired: list[Fired] = []
    wrong: list[str] = []
    written: dict[str, int] = {}
    looked: dict[str, int] = {}
    seen: dict[str, int] = {}
    closes: dict[str, int] = {}
    resets: dict[str, int] = {}
    statuses: dict[str, int] = {}
    memory_mb: dict[str, float] = {}
    grown_mb: dict[str, float] = {}
    """Since the process was up."""
    may_grow_mb: dict[str, float] = {}
    latency_ms: dict[str, float] = {}
    kept: str = ""
    """The folder with what every service and server said: left when something is wrong, or when asked for."""

    @property
    def families(self) -> dict[str, int]:
        """How often each family fired, proven."""
        return dict(Counter(fired.family for fired in self.fired if fired.evidence))


def as_json(report: Report) -> str:
    """Everything."""
    told: dict[str, Any] = {**msgspec.to_builtins(report), "families": report.families}
    return msgspec.json.format(msgspec.json.encode(told)).decode()


def in_words(report: Report) -> str:
    """Everything that a person wants to see first; what is wrong last."""
    counted = Counter(fired.fault for fired in report.fired if fired.evidence)
    lines = [
        f"seed {report.seed}: {report.seconds:.0f} s, {report.clients} clients, {report.sequencers} sequencers,"
        f" {report.logs} logs",
        f"faults by family: {_listed(report.families)}",
        f"faults: {_listed(counted)}",
        f"written: {_listed(report.written)}",
        f"compared: {_listed(report.looked)}",
        f"clients: {_listed(report.seen)}; resets: {_listed(report.resets)}; closes: {_listed(report.closes)}",
        f"answers: {_listed(report.statuses)}",
        f"memory at most, MB (grown, of what it could hold): {_listed(_memory(report))}",
        f"commit to client, ms: {_listed({name: round(value, 1) for name, value in report.latency_ms.items()})}",
    ]
    measured = [(f.fault, f.measured) for f in report.fired if f.measured]
    lines += [f"{fault}: {_listed({k: round(v, 1) for k, v in told.items()})}" for fault, told in measured]
    if report.wrong:
        lines += ["", f"{len(report.wrong)} WRONG:", *(f"- {line}" for line in report.wrong[:50])]
    else:
        lines += ["", "Nothing was lost, nothing came twice, everything that was injected fired."]
    if report.kept:
        lines += ["", f"What services and servers said is in {report.kept}"]
    return "\n".join(lines)


def _memory(report: Report) -> dict[str, str]:
    grown, may = report.grown_mb, report.may_grow_mb
    return {
        name: f"{peak:.0f} ({grown.get(name, 0):.0f} of {may.get(name, 0):.0f})"
        for name, peak in report.memory_mb.items()
    }


def _listed(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in counts.items()) or "none"
