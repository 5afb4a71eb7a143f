"""Mutants of the hub, the fan-out, the rings and the recovery: what a session is sent. DESIGN.md sections 1 and 6."""

from tests.mutants.mutant import Mutant

HUB = "services/notify/live/hub.py"
FANOUT = "services/notify/live/fanout.py"
RECOVERY = "services/notify/live/recovery.py"
HOME = "services/notify/live/home.py"
FOLLOWER = "services/notify/live/follower.py"
_LIVES = "tests/notify/live/test_hub_properties.py"
_HUB = "tests/notify/live/test_hub.py::"
_FOLLOWING = "tests/notify/live/test_following.py::"
_RECOVERING = "tests/notify/live/test_recovering.py::"
_GUARANTEES = "tests/notify/live/test_guarantees.py::"
_COUNTS = f"{_FOLLOWING}test_superseded_counts_are_left_out_and_the_chain_stays_whole"

MUTANTS = [
    Mutant(
        "hub joined after an await",
        "6",
        "joining the hub and reading the ring's end happen without an await between",
        RECOVERY,
        "            self._hub.join(session, subscription)\n",
        "            subscription.live = True\n"
        "            asyncio.get_running_loop().call_soon(self._hub.join, session, subscription)\n",
        (f"{_HUB}test_what_comes_in_right_after_joining_is_not_missed",),
    ),
    Mutant(
        "prev of the entry before, conflated or not",
        "6",
        "the chain stays whole over counts that were left out",
        FANOUT,
        "            prev = entry.seq\n",
        "        prev = entry.seq\n",
        (_COUNTS,),
    ),
    Mutant(
        "conflation drops the newest",
        "6",
        "superseded counts are left out, never the newest",
        FANOUT,
        "                gone.add(latest[entity])\n            latest[entity] = entry.seq\n",
        "                gone.add(entry.seq)\n            latest.setdefault(entity, entry.seq)\n",
        (_COUNTS,),
    ),
    Mutant(
        "counts of a comment for those of its post",
        "6",
        "counts are conflated for each entity by itself",
        FANOUT,
        "    return (found.post_id, found.comment_id)",
        "    return (found.post_id, None)",
        (_COUNTS,),
    ),
    Mutant(
        "no conflation",
        "6",
        "within a round superseded counts are left out",
        FANOUT,
        "    gone = superseded(entries) if len(entries) > 1 else ()",
        "    gone: tuple[int, ...] = ()",
        (_COUNTS,),
    ),
    Mutant(
        "prev begins at zero",
        "6",
        "a chain begins where following began, and claims nothing of before",
        HUB,
        "self.channels[channel] = Followed(self.position())",
        "self.channels[channel] = Followed([0] * self.logs)",
        (f"{_FOLLOWING}test_subscribing_from_a_page_leaves_no_gap_and_answers_with_the_request_s_id",),
    ),
    Mutant(
        "a channel is followed for ever",
        "6",
        "a channel is followed to its last subscriber",
        HUB,
        "        if not followed.sessions:\n            del self.channels[channel]\n",
        "        if followed.sessions is None:\n            del self.channels[channel]\n",
        (f"{_FOLLOWING}test_unsubscribing_ends_the_frames",),
    ),
    Mutant(
        "marks for those who are behind",
        "6",
        "a session that is behind gets no mark",
        HUB,
        "            blocks.append((self.sessions, self._marks()))\n",
        "            blocks.append((self.sessions, marks := self._marks()))\n"
        "            for session in self.sessions:\n"
        "                if session.behind is not None:\n"
        "                    session.outlet.write(marks)\n",
        (f"{_HUB}test_a_session_that_is_behind_hears_no_mark",),
    ),
    Mutant(
        "marks ahead of the events",
        "6",
        "a mark comes behind everything that it speaks of",
        HUB,
        "            blocks.append((self.sessions, self._marks()))\n",
        "            blocks.insert(0, (self.sessions, self._marks()))\n",
        (_LIVES,),
    ),
    Mutant(
        "no marks",
        "6",
        "a mark comes while the head moves, so that a missing tail is noticed",
        HUB,
        "            self._marks_due = True\n",
        "            self._marks_due = False\n",
        (f"{_FOLLOWING}test_marks_follow_the_head_and_stop_with_it",),
    ),
    Mutant(
        "subscribed before the log has come in",
        "6",
        "since ahead of this process: `subscribed` comes when the tail has reached it",
        RECOVERY,
        "            if position[ring.log] > ring.end:\n",
        "            if position[ring.log] > 2**62:\n",
        (f"{_RECOVERING}test_a_page_ahead_of_this_process_is_answered_when_the_log_comes_in",),
    ),
    Mutant(
        "a since that nobody numbered is believed",
        "6",
        "since ahead of Postgres's head: reset epoch",
        "services/notify/live/history.py",
        "            done(seq <= heads[number])\n",
        "            done(True)\n",
        (f"{_RECOVERING}test_a_since_ahead_of_postgres_or_of_an_older_epoch_is_reset_epoch",),
    ),
    Mutant(
        "replay capped at its first piece",
        "6",
        "recovery is all or reset, never part",
        RECOVERY,
        "        return position == self._hub.position()\n",
        "        return True\n",
        (f"{_GUARANTEES}test_a_replay_of_many_pieces_is_whole_and_live_only_at_its_end",),
    ),
    Mutant(
        "replay from what the ring happens to hold",
        "1.2",
        "what lies below the ring comes from Postgres",
        RECOVERY,
        "            if position[ring.log] + 1 < ring.floor:\n",
        "            if position[ring.log] + 1 < 0:\n",
        (f"{_RECOVERING}test_below_the_ring_one_reader_extends_it_for_everybody",),
    ),
    Mutant(
        "too old is no reset",
        "1.2",
        "what can't be recovered is an explicit reset",
        RECOVERY,
        "        if after < self._past.reach(ring.log):\n            fetched(False)\n            return\n",
        "        if after < self._past.reach(ring.log):\n            fetched(True)\n            return\n",
        (f"{_RECOVERING}test_older_than_a_ring_can_be_extended_is_reset_too_old",),
    ),
    Mutant(
        "every session reads Postgres for itself",
        "6",
        "one shared reader extends the ring for everybody",
        "services/notify/live/history.py",
        "        if len(waiting) == 1:\n            self._spawn(self._read(number))\n",
        "        self._spawn(self._read(number))\n",
        (f"{_GUARANTEES}test_those_who_ask_together_for_what_lies_below_the_ring_cost_one_read",),
    ),
    Mutant(
        "ring empty at the start",
        "6",
        "the ring is filled before the process is ready",
        FOLLOWER,
        "        first = max(last - self._settings.ring, 0)\n",
        "        first = last\n",
        (f"{_RECOVERING}test_below_the_ring_one_reader_extends_it_for_everybody",),
    ),
    Mutant(
        "ready before the ring is filled",
        "6",
        "not ready until the ring is filled",
        FOLLOWER,
        '            return {"!ring": "The newest entries are still being read."}\n',
        '            return {"ring": "The newest entries are still being read."}\n',
        (f"{_GUARANTEES}test_nobody_is_served_before_the_ring_is_filled",),
    ),
    Mutant(
        "a hole is put into the ring",
        "1.2",
        "a hole in what came in ends the process, loudly",
        "services/notify/live/ring.py",
        "        if entry.seq != self.end + 1:\n            raise AssertionError",
        "        if entry.seq <= self.end:\n            raise AssertionError",
        ("tests/notify/live/test_ring.py::test_a_hole_is_a_broken_assumption",),
    ),
    Mutant(
        "reloaded topics go on",
        "6",
        "a topic that was imported anew is reset",
        HUB,
        "                    self._reload(channel)\n",
        "                    pass\n",
        (f"{_FOLLOWING}test_a_reload_resets_the_topic_for_those_who_follow_it_and_for_those_who_come_back",),
    ),
    Mutant(
        "a round goes to who is full",
        "1.5",
        "a session whose buffer is full falls behind; the hub stops writing to it",
        "services/notify/live/lanes.py",
        "                    if not session.outlet.offer(frames):\n",
        "                    if session.outlet.write(frames):\n",
        (f"{_HUB}test_a_session_that_is_behind_meets_a_reload_in_its_place",),
    ),
    Mutant(
        "home stays as it was read",
        "6",
        "home follows joining and leaving",
        HOME,
        "        change(session, channel)\n",
        "",
        (f"{_FOLLOWING}test_home_follows_joining_and_leaving_and_names_real_channels",),
    ),
    Mutant(
        "home forgets what it heard while it was read",
        "6",
        "state is loaded with its position, then the log is followed",
        HOME,
        "                home.heard.append((event, number, seq))\n",
        "                pass\n",
        (f"{_GUARANTEES}test_home_has_what_was_joined_while_it_was_read",),
    ),
]
