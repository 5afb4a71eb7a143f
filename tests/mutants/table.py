"""The README's table of mutants: each rule, the mutant that breaks it, and the test that noticed when it last ran."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant

README = ROOT / "README.md"
BEGIN, END = "<!-- mutants: begin -->\n", "<!-- mutants: end -->"


def rows(readme: Path = README) -> dict[str, tuple[str, str, str]]:
    """(section, rule, caught by) of each mutant in the table, by its name."""
    _, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    lines = rest.partition(END)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.strip("`"): (section, rule, caught) for section, rule, name, caught in cells}


def write(mutants: Sequence[Mutant], caught: Mapping[str, str], readme: Path = README) -> None:
    """The table lists exactly `mutants`; those that did not run keep what caught them before."""
    before = rows(readme)
    text = readme.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = ["| § | what must hold | broken by the mutant | caught by |", "|---|---|---|---|"]
    for mutant in sorted(mutants, key=lambda each: each.section):
        by = caught.get(mutant.name) or before.get(mutant.name, ("", "", ""))[2]
        lines.append(f"| {mutant.section} | {mutant.rule} | `{mutant.name}` | {by} |")
    readme.write_text(f"{head}{BEGIN}" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")
