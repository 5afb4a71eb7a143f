"""A client that judges: every frame by the proof rule, and against the truth, which it alone may look at."""

from array import array
from typing import Any

import msgspec

from services.notify.live.codes import Close
from shared.eventlog.entries import Entry
from tests.live_client import Proof

EPOCH = 7


def payloads(written: bytes) -> list[dict[str, Any]]:
    """The text frames in a byte string, unmasked as a server sends them."""
    frames, at = [], 0
    while at < len(written):
        assert written[at] == 0x81
        size, at = written[at + 1], at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(written[at : at + width], "big"), at + width
        frames.append(msgspec.json.decode(written[at : at + size]))
        at += size
    return frames


class Client:
    """A client and its outlet: judges every frame by the proof rule and against the truth.

    `clogged`: something waits to go out, too little to pause."""

    def __init__(self, truth: "list[list[Entry]]") -> None:
        self.truth = truth
        self.paused = False
        self.clogged = False
        self.share = 1 << 16
        self.ended: Close | None = None
        self.frames: list[dict[str, Any]] = []
        self.proofs: dict[str, Proof] = {}
        self.folds: dict[str, dict[Any, Any]] = {}

    def waiting(self) -> int:
        return 0

    def board(self, descriptors: "array[int]", lane: int) -> None:
        """There is no descriptor: the lane stays shut."""

    def clear(self) -> bool:
        return False

    def offer(self, frames: bytes) -> bool:
        if self.paused or (len(frames) > self.share and self.clogged):
            return False
        self.write(frames)
        return True

    def tell(self, frames: bytes) -> None:
        self.write(frames)

    def write(self, frames: bytes) -> None:
        for frame in payloads(frames):
            self.frames.append(frame)
            self.take(frame)

    def end(self, code: Close) -> None:
        self.ended = code

    def between(self, channel: str, log: int, after: int, before: int) -> list[Entry]:
        return [e for e in self.truth[log] if after < e.seq < before and channel in e.channels]

    def take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "event":
            self.check_claim(frame)
        for channel, proof in self.proofs.items():
            held = None if proof.mine is None else list(proof.mine)
            does = proof.take(frame)
            if does == "apply":
                event = frame["event"]
                fold(self.folds[channel], event["type"], event, (frame["log"], frame["seq"]))
            elif does in ("mark", "live") and held is not None:
                assert proof.mine is not None
                for log, (was, now) in enumerate(zip(held, proof.mine, strict=True)):
                    assert not self.between(channel, log, was, now + 1), f"{frame} hides events on {channel}"
            elif does == "gap":
                raise AssertionError(f"{frame} leaves a gap after {held}")

    def check_claim(self, frame: dict[str, Any]) -> None:
        """Nothing lies between but counts superseded later in the log."""
        log, channel = frame["log"], frame["channel"]
        for entry in self.between(channel, log, frame["prev"], frame["seq"]):
            assert entry.type == "counts.changed", f"{frame} denies {entry}"
            later = self.between(channel, log, entry.seq, len(self.truth[log]) + 1)
            assert any(e.type == entry.type and e.payload == entry.payload for e in later)


def fold(state: dict[Any, Any], kind: str, payload: dict[str, Any], place: tuple[int, int]) -> None:
    """Counts replace counts, everything else is kept with its place."""
    state["counts", payload.get("post_id")] = (
        place if kind == "counts.changed" else state.get(("counts", payload.get("post_id")))
    )
    if kind != "counts.changed":
        state[place] = kind
