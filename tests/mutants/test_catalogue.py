"""The mutants are fit to run: each one's place and tests are there, and the README lists what there is."""

import pytest

from tests.mutants import table
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_what_a_mutant_changes_stands_once_in_its_file(mutant: Mutant) -> None:
    assert mutant.occurrences() == 1, f"{mutant.file} has changed: give `{mutant.name}` its place again"
    assert mutant.old != mutant.new
    assert not mutant.missing_tests()


def test_every_mutant_has_a_name_of_its_own() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))
    assert not [cell for mutant in MUTANTS for cell in (mutant.name, mutant.rule) if "|" in cell or "\n" in cell]


def test_the_readme_lists_exactly_these_mutants_and_what_caught_each() -> None:
    listed = table.rows()
    assert set(listed) == {mutant.name for mutant in MUTANTS}, "renew it: make mutants ARGS=--write"
    for mutant in MUTANTS:
        section, rule, caught = listed[mutant.name]
        assert (section, rule) == (mutant.section, mutant.rule)
        assert caught.startswith("`test_") or caught.startswith("`Test"), f"{mutant.name}: {caught}"
