"""Where something stands: one position in one log, or a position in each of them."""

from typing import Any, NamedTuple

import msgspec


class Position(NamedTuple):
    """A place in one log, written `epoch-seq`: its id in the Redis stream too. `seq` 0 is before the first."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str | bytes) -> "Position":
        """The position that `epoch-seq` names; raises ValueError when it names none."""
        epoch, _, seq = (text.decode() if isinstance(text, bytes) else text).partition("-")
        return cls(int(epoch), int(seq))


class Cursor(NamedTuple):
    """A position in every log, in the order of their numbers; all in one epoch."""

    epoch: int
    seq: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As it travels: {"epoch": 7, "seq": [60]}."""
        return {"epoch": self.epoch, "seq": list(self.seq)}

    @classmethod
    def from_json(cls, text: str | bytes) -> "Cursor":
        """What `eventlog.head_cursor()` gave; raises msgspec.ValidationError for anything else."""
        return cls(*msgspec.structs.astuple(msgspec.json.decode(text, type=_Wire)))

    def at(self, log: int) -> Position:
        """The position in one log; raises IndexError when there is no such log."""
        return Position(self.epoch, self.seq[log])


class _Wire(msgspec.Struct, frozen=True, kw_only=True):
    epoch: int
    seq: tuple[int, ...]
