"""The proof rule of one channel, from the protocol's text: what a frame means, given the positions held.

Pure. A second reading of the same page as live.js and the tests' client, on purpose: three that agree can't all have
misread it. Held to tests/vectors/proof.json.
"""

from typing import Any, Literal

Json = dict[str, Any]
Does = Literal["apply", "drop", "gap", "ignore", "live", "mark", "reset"]


class Chain:
    """Positions held on `channel`, one per log; `mine` None: not known yet."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.state: Literal["pending", "live", "ended"] = "ended"
        self.request: int | None = None
        self.epoch: int | None = None
        self.mine: list[int] | None = None

    @property
    def since(self) -> Json | None:
        """Where to ask from: what is held, or None."""
        return None if self.mine is None else {"epoch": self.epoch, "seq": list(self.mine)}

    def asked(self, request: int | None, since: Json | None) -> None:
        """A subscribe with this id goes out, from `since`; None: from now on."""
        self.state, self.request = "pending", request
        self.epoch = None if since is None else since["epoch"]
        self.mine = None if since is None else list(since["seq"])

    def take(self, frame: Json) -> Does:
        """What the receiver has to do with `frame`, which may be anybody's."""
        if frame["type"] == "mark":
            return self._marked(frame["log"], frame["seq"])
        if self.state == "ended" or frame.get("channel") != self.channel:
            return "ignore"
        match frame["type"]:
            case "event":
                return self._event(frame["log"], frame["prev"], frame["seq"])
            case "subscribed" if frame.get("id") == self.request:
                return self.confirmed(frame["as_of"])
            case "reset":
                self.state, self.request, self.mine = "ended", None, None
                return "reset"
        return "ignore"

    def confirmed(self, as_of: Json) -> Does:
        """The latest request was answered: complete through `as_of` at least."""
        before = self.mine or [0] * len(as_of["seq"])
        self.mine = [max(held, told) for held, told in zip(before, as_of["seq"], strict=True)]
        self.epoch, self.state = as_of["epoch"], "live"
        return "live"

    def _marked(self, log: int, seq: int) -> Does:
        if self.state != "live" or self.mine is None or not log < len(self.mine):
            return "ignore"
        self.mine[log] = max(seq, self.mine[log])
        return "mark"

    def _event(self, log: int, prev: int, seq: int) -> Does:
        if self.mine is None or not log < len(self.mine):
            return "ignore"
        mine = self.mine[log]
        if seq <= mine:
            return "drop"
        if prev <= mine:
            self.mine[log] = seq
            return "apply"
        if self.state == "live":
            self.state, self.request = "pending", None
            return "gap"
        return "ignore"
