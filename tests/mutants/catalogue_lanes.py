"""Mutants of what a round writes straight to sockets: DESIGN.md section 6."""

from tests.mutants.mutant import Mutant

PROTOCOL = "services/notify/live/protocol.py"
WRITES = "services/notify/live/writes.py"
URING = "services/notify/live/uring.py"
LANES = "services/notify/live/lanes.py"
_WRITES = "tests/notify/live/test_writes.py::"
_URING = "tests/notify/live/test_uring.py::"
_LANES = "tests/notify/live/test_lanes.py::"
_IN_PART = "tests/notify/live/test_bounds.py::test_what_a_full_kernel_takes_in_part_goes_on_where_it_stopped"

MUTANTS = [
    Mutant(
        "the last of a slice gets nothing",
        "6",
        "a round's frames reach a socket whole, once and in order",
        "services/notify/live/lanes.py",
        "        for lane, frames in slice_:\n",
        "        for lane, frames in slice_[:-1] or slice_:\n",
        ("tests/notify/live/test_lanes.py::test_a_round_looks_at_open_lanes_alone",),
    ),
    Mutant(
        "what the kernel took in part is written again",
        "6",
        "a round's frames reach a socket whole, once and in order",
        URING,
        "left.append((lane, frames[max(sent, 0) :]))",
        "left.append((lane, frames))",
        (_IN_PART,),
    ),
    Mutant(
        "what the kernel refused counts as written",
        "6",
        "a round's frames reach a socket whole, once and in order",
        URING,
        "if sent < len(frames)",
        "if 0 <= sent < len(frames)",
        (f"{_URING}test_what_is_not_taken_comes_back_and_holds_up_nobody",),
    ),
    Mutant(
        "without rings: what the kernel took in part is written again",
        "6",
        "a round's frames reach a socket whole, once and in order",
        WRITES,
        "left.append((lane, frames[sent:]))",
        "left.append((lane, frames))",
        (f"{_WRITES}test_what_the_kernel_does_not_take_comes_back",),
    ),
    Mutant(
        "a round overtakes what waits",
        "6",
        "frames go to the kernel only while nothing waits before them",
        PROTOCOL,
        "        if self._closed() or self.paused or self.transport.get_write_buffer_size():\n",
        "        if self._closed() or self.paused:\n",
        (_IN_PART,),
    ),
    Mutant(
        "a round overtakes what was told",
        "6",
        "who gives the transport something shuts the lane before",
        PROTOCOL,
        "            self._shut()\n            self.transport.write(frames)\n",
        "            self.transport.write(frames)\n",
        (f"{_LANES}test_what_a_round_brings_comes_behind_what_was_told_before",),
    ),
    Mutant(
        "a ping's answer is overtaken",
        "6",
        "who gives the transport something shuts the lane before",
        PROTOCOL,
        '            self._shut()\n            self.transport.write(b"".join(output))\n',
        '            self.transport.write(b"".join(output))\n',
        (f"{_LANES}test_an_answered_ping_is_not_overtaken",),
    ),
    Mutant(
        "frames behind our close",
        "6",
        "nothing comes behind the close",
        PROTOCOL,
        "        self._shut()\n        metrics.CLOSES",
        "        metrics.CLOSES",
        (f"{_LANES}test_nothing_comes_behind_the_end",),
    ),
    Mutant(
        "frames behind the peer's close",
        "6",
        "nothing comes behind the close",
        PROTOCOL,
        "        self._shut()\n        super().handle_close(event)\n",
        "        super().handle_close(event)\n",
        (f"{_LANES}test_nothing_comes_behind_the_end",),
    ),
    Mutant(
        "frames behind a peer that is gone",
        "6",
        "nothing comes behind the close",
        PROTOCOL,
        'transport closes itself."""\n        self._shut()\n',
        'transport closes itself."""\n',
        (f"{_LANES}test_nothing_comes_behind_the_end",),
    ),
    Mutant(
        "a descriptor is written to when it may be another's",
        "6",
        "no frame goes to a socket that took over the number of one that is gone",
        PROTOCOL,
        "        self._shut()\n        self.on_pause = self.on_resume = None\n",
        "        self.on_pause = self.on_resume = None\n",
        (f"{_LANES}test_a_lane_is_shut_before_its_descriptor_is_free",),
    ),
    Mutant(
        "a lane is another's while a round knows it",
        "6",
        "what was gathered for whoever left goes to nobody",
        LANES,
        "                self._left.append(lane)\n",
        "                self._free.append(lane)\n",
        (f"{_LANES}test_who_comes_in_the_middle_of_a_round_gets_nothing_of_whoever_left",),
    ),
    Mutant(
        "an audience keeps the lane of whoever left",
        "6",
        "what a channel brings goes to those who follow it",
        LANES,
        "            del self._sessions[session]\n            self._lanes = None\n",
        "            del self._sessions[session]\n",
        (f"{_LANES}test_a_lane_that_is_used_again_brings_nothing_of_whoever_had_it",),
    ),
    Mutant(
        "a lane is given on though its session is still followed",
        "6",
        "what a channel brings goes to those who follow it",
        LANES,
        "            if again:\n",
        "            if again is not None:\n",
        (f"{_LANES}test_the_lane_of_who_leaves_and_is_still_followed_is_nobody_s_any_more",),
    ),
    Mutant(
        "two threads each make every write",
        "6",
        "a round's writes are each made once, by either thread",
        WRITES,
        "                chunk = todo.popleft()\n",
        "                chunk = todo[0]\n"
        "                threading.Event().wait(0.00001)\n"
        "                todo.popleft()\n",
        (f"{_WRITES}test_each_write_is_made_once",),
    ),
    Mutant(
        "the round goes on while its helper writes",
        "6",
        "no descriptor is given to another while a round is written to it",
        WRITES,
        "            self._done.acquire()\n        if self._broke",
        "            pass\n        if self._broke",
        (f"{_WRITES}test_a_round_waits_for_what_its_helper_has_begun",),
    ),
]
