"""What one question to the stored data came to."""

from collections.abc import Iterable

import msgspec

SHOWN = 20
"""Ids of what is wrong that are kept, the first ones; all are counted."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`ok` null: it could not be looked at, and `found` says why. `ids`: the first of what is wrong, with what is wrong
    about each where numbers say it; never a word of anybody. `means` and `do` are null when all is well."""

    what: str
    ok: bool | None
    looked: int
    wrong: int
    found: str
    means: str | None = None
    do: str | None = None
    ids: list[str] = []


class Tally:
    """Counts what was looked at and what is wrong, and keeps the first ids: of bounded size however much is wrong."""

    def __init__(self, what: str, noun: str, plural: str = "", *, means: str, do: str) -> None:
        """`plural` where an s does not make it."""
        self._what, self._means, self._do = what, means, do
        self._one, self._many = noun, plural or f"{noun}s"
        self.looked = 0
        self.wrong = 0
        self._ids: list[str] = []

    def add(self, looked: int, wrong: Iterable[str] = ()) -> None:
        """So many more were looked at, and these are wrong."""
        self.looked += looked
        for each in wrong:
            self.wrong += 1
            if len(self._ids) < SHOWN:
                self._ids.append(each)

    def finding(self) -> Finding:
        """What it came to."""
        number = f"{self.looked:,} {self._one if self.looked == 1 else self._many}"
        if not self.wrong:
            return Finding(what=self._what, ok=True, looked=self.looked, wrong=0, found=number)
        more = f", and {self.wrong - len(self._ids):,} more" if self.wrong > len(self._ids) else ""
        return Finding(
            what=self._what,
            ok=False,
            looked=self.looked,
            wrong=self.wrong,
            found=f"{self.wrong:,} wrong, of {number}: {'; '.join(self._ids)}{more}",
            means=self._means,
            do=self._do,
            ids=self._ids,
        )

    def skipped(self, why: str) -> Finding:
        """There is nothing to look at."""
        return Finding(what=self._what, ok=True, looked=0, wrong=0, found=why)

    def unknown(self, why: str) -> Finding:
        """It could not be (wholly) looked at."""
        return Finding(what=self._what, ok=None, looked=self.looked, wrong=0, found=why)
