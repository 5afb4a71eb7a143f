"""A mutant: one place of the code broken on purpose, the promise that this breaks, and the tests that must notice.

Applied to a copy of the tree by run.py, never to the tree itself.
"""

import os
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """`old`, which stands exactly once in `file`, becomes `new`; one of `tests` (pytest's node ids) has to fail then.

    `rule` is the promise in our words, `section` where DESIGN.md makes it.
    """

    name: str
    section: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def occurrences(self, root: Path = ROOT) -> int:
        """How often `old` stands in the file: 1, or the mutant has lost its place."""
        path = root / self.file
        return path.read_text(encoding="utf-8").count(self.old) if path.exists() else 0

    def missing_tests(self, root: Path = ROOT) -> list[str]:
        """Tests that are named and not there."""
        return [test for test in self.tests if not _is_there(root, test)]


def _is_there(root: Path, test: str) -> bool:
    file, _, name = test.partition("::")
    path, function = root / file, name.partition("[")[0].rpartition("::")[2]
    return path.exists() and (not name or any(f"{word} {function}" in path.read_text() for word in ("def", "class")))


class Copy:
    """A copy of the tree in which mutants live, one at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stamp = 1_700_000_000

    def apply(self, mutant: Mutant) -> None:
        """The mutant lives. Raises ValueError when it has lost its place."""
        found = mutant.occurrences(self.root)
        if found != 1:
            raise ValueError(f"{mutant.name}: what it changes stands {found} times in {mutant.file}")
        self._replace(mutant.file, mutant.old, mutant.new)

    def restore(self, mutant: Mutant, original: Path = ROOT) -> None:
        """The file is as it was; `original` is where it came from."""
        self._write(mutant.file, (original / mutant.file).read_text(encoding="utf-8"))

    def _replace(self, file: str, old: str, new: str) -> None:
        self._write(file, (self.root / file).read_text(encoding="utf-8").replace(old, new))

    def _write(self, file: str, text: str) -> None:
        path = self.root / file
        path.write_text(text, encoding="utf-8")
        # Bytecode is found by whole seconds and size: both may be the same for a mutant and what it was made of.
        self._stamp += 1
        os.utime(path, (self._stamp, self._stamp))
