"""The gaps that a tail meets: positions that Redis should have brought and did not. What it counts, operators see."""

from typing import Literal, get_args

Cause = Literal["missing", "malformed", "behind"]
"""`missing`: Redis shows a later position, not these (trimmed, evicted, deleted, redacted). `malformed`: it shows the
position, and no entry that can be one. `behind`: it brings nothing more, though Postgres's head is further."""


class Gaps:
    """One tail's, by cause. A gap counts once, however many reads it takes to repair; `repaired` follows `noticed` when
    the tail has handed on the gap's last position."""

    def __init__(self) -> None:
        self.noticed: dict[Cause, int] = dict.fromkeys(get_args(Cause), 0)
        self.repaired: dict[Cause, int] = dict.fromkeys(get_args(Cause), 0)
        self._open: dict[tuple[Cause, int], None] = {}

    def notice(self, cause: Cause, last: int) -> None:
        """What comes next is not there, up to `last`. One that is known already is no other one."""
        if (cause, last) not in self._open:
            self._open[cause, last] = None
            self.noticed[cause] += 1

    def passed(self, seq: int) -> None:
        """Everything through `seq` has been handed on."""
        for cause, last in [gap for gap in self._open if gap[1] <= seq]:
            del self._open[cause, last]
            self.repaired[cause] += 1
