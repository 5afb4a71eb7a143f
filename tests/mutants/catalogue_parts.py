"""Mutants of what bounds a peer's frames that are no message. DESIGN.md sections 1 and 6."""

from tests.mutants.mutant import Mutant

PROTOCOL = "services/notify/live/protocol.py"
_BOUNDED = "tests/notify/live/test_malformed.py::test_frames_that_are_no_message_are_bounded_too"

MUTANTS = [
    Mutant(
        "pings without end tolerated",
        "6",
        "pings, pongs and parts of messages are a flood, too: 4007",
        PROTOCOL,
        "        if not self._bearable.take(self.heard):\n",
        "        if not self._bearable.take(self.heard) and False:\n",
        (_BOUNDED,),
    ),
    Mutant(
        "a message in parts without end",
        "1.5",
        "memory is bounded: a message comes in 1,000 parts at most, however empty they are",
        PROTOCOL,
        "        if len(self.frames) >= PARTS:\n",
        "        if len(self.frames) >= 10**9:\n",
        (_BOUNDED,),
    ),
    Mutant(
        "a flood is parsed to its end",
        "1.5",
        "a peer that floods costs nobody else their time: the rest of it is not looked at",
        PROTOCOL,
        "            if not self._deaf:\n",
        "            if True:\n",
        (_BOUNDED,),
    ),
]
