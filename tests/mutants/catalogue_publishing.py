"""Mutants of publishing, leadership and epochs: Redis is a replica, and one leads. DESIGN.md sections 1 and 4."""

from tests.mutants.mutant import Mutant

NUMBERING = "shared/migrations/versions/0001_eventlog_numbering.sql"
PUBLISHER = "shared/eventlog/publisher.py"
LEADERSHIP = "shared/eventlog/leadership.py"
_PUBLISHED = "tests/eventlog/test_publishing.py::"
_LED = "tests/eventlog/test_leadership.py::"
_EPOCHS = "tests/eventlog/test_epochs.py::"
_CRASHES = "tests/eventlog/test_crashes.py::"
_REFILLED = f"{_PUBLISHED}test_a_flushed_redis_is_refilled_with_the_same_ids_and_bytes"

MUTANTS = [
    Mutant(
        "crash after numbering not mended",
        "4",
        "what was numbered and not published is appended by whoever comes next",
        PUBLISHER,
        "            self.published = last.seq\n",
        "            self.published = self._head\n",
        (f"{_CRASHES}test_a_crash_between_two_steps_is_mended_by_the_next_leader",),
    ),
    Mutant(
        "script takes a stale epoch",
        "4",
        "the stream refuses a page of an older epoch (FENCED)",
        "shared/eventlog/publish.lua",
        "if last_epoch > epoch then",
        "if false then",
        (f"{_PUBLISHED}test_an_older_epoch_is_fenced",),
    ),
    Mutant(
        "script takes a hole",
        "4",
        "the stream refuses a page that does not follow its end (GAP)",
        "shared/eventlog/publish.lua",
        "if last_epoch < epoch or last_seq < after then",
        "if last_epoch < epoch then",
        (f"{_PUBLISHED}test_a_hole_is_refused",),
    ),
    Mutant(
        "an older epoch begins the stream anew",
        "4",
        "a late leader cannot empty the stream of a newer epoch",
        "shared/eventlog/begin.lua",
        "> tonumber(ARGV[1]) then",
        "> tonumber(ARGV[1]) + 9 then",
        (f"{_PUBLISHED}test_an_older_epoch_is_fenced",),
    ),
    Mutant(
        "a comparison forgets what was numbered during it",
        "4",
        "what is numbered is published at once, also during a comparison",
        "shared/eventlog/publisher.py",
        "now.head if now.epoch != self._epoch else max(now.head, self._head)\n",
        "now.head\n",
        (f"{_PUBLISHED}test_what_is_numbered_during_a_comparison_is_published_at_once",),
    ),
    Mutant(
        "refill skipped after a flush",
        "1.4",
        "a flushed Redis is refilled",
        PUBLISHER,
        "        if last is None or last < (self._epoch, oldest):\n",
        "        oldest = self._head if last is None else oldest\n"
        "        if last is None or last < (self._epoch, oldest):\n",
        (_REFILLED,),
    ),
    Mutant(
        "refill with a time of its own",
        "4",
        "a position, once numbered, means the same bytes for ever",
        "shared/migrations/versions/0011_reading.sql",
        "e.type, eventlog.wire_time(e.at)",
        "e.type, eventlog.wire_time(clock_timestamp())",
        (_REFILLED,),
    ),
    Mutant(
        "no comparison while idle",
        "4",
        "Redis is compared with the head every second, also when nothing happens",
        PUBLISHER,
        "                async with asyncio.timeout(wait):\n",
        "                async with asyncio.timeout(None):\n",
        (f"{_REFILLED}",),
    ),
    Mutant(
        "numbering waits for Redis",
        "1.4",
        "Redis that refuses everything holds up no number",
        "shared/eventlog/sequencer.py",
        "                    self._publisher.numbered(self._epoch, rows)\n",
        "                    self._publisher.numbered(self._epoch, rows)\n"
        "                    while (self.published or 0) < rows[0]['head']:\n"
        "                        await asyncio.sleep(0.01)\n",
        ("tests/eventlog/test_redis_useless.py::test_batch_after_batch_is_numbered_while_redis_refuses_everything",),
    ),
    Mutant(
        "stream without a bound",
        "4",
        "the stream has a bounded length",
        "shared/eventlog/publish.lua",
        "'MAXLEN', '~', ARGV[3], ",
        "",
        (f"{_PUBLISHED}test_a_stream_has_bounded_length_also_when_refilled",),
    ),
    Mutant(
        "stream's key without a hash tag",
        "4",
        "keys are hash-tagged, so that logs spread over a cluster",
        "shared/eventlog/stream.py",
        'f"chorus:log:{{{log}}}"',
        'f"chorus:log:{log}"',
        ("tests/eventlog/test_windows.py::test_a_stream_s_key_is_hash_tagged",),
    ),
    Mutant(
        "no advisory lock",
        "4",
        "one leads, any number stand by",
        LEADERSHIP,
        '"SELECT pg_try_advisory_lock($1, $2)"',
        '"SELECT $1::integer + $2::integer > 0"',
        (f"{_LED}test_one_leads_and_another_stands_by",),
    ),
    Mutant(
        "a silent leader keeps its session",
        "4",
        "a paused leader is replaced: its session ends after 3 s of silence",
        LEADERSHIP,
        '"idle_session_timeout": str(SILENCE_MS)',
        '"idle_session_timeout": "0"',
        (f"{_LED}test_a_process_that_is_killed_or_paused_is_replaced",),
    ),
    Mutant(
        "a changed timeline keeps the epoch",
        "4",
        "a changed timeline opens a new epoch",
        NUMBERING,
        "\n                WHEN i.timeline <> s.timeline THEN 'timeline' END;",
        " END;",
        (f"{_EPOCHS}test_another_timeline_opens_one_epoch_for_all_logs",),
    ),
    Mutant(
        "Redis ahead keeps the epoch",
        "4",
        "Redis ahead of the head opens a new epoch",
        PUBLISHER,
        "        if last is not None and last > (now.epoch, now.head):\n",
        "        if last is not None and last > (2**62, now.head):\n",
        (f"{_EPOCHS}test_redis_ahead_of_postgres_opens_an_epoch_after_its_own",),
    ),
    Mutant(
        "an epoch for one log alone",
        "4",
        "an epoch is opened for all logs in one transaction",
        NUMBERING,
        "    UPDATE eventlog.log SET epoch = opened;",
        "    UPDATE eventlog.log SET epoch = opened WHERE log = 0;",
        (f"{_EPOCHS}test_another_timeline_opens_one_epoch_for_all_logs",),
    ),
    Mutant(
        "an epoch may repeat",
        "4",
        "an epoch's number never comes again",
        NUMBERING,
        "    opened := greatest(latest + 1, (SELECT max(epoch) + 1 FROM eventlog.epoch), p_redis + 1,\n"
        "                       eventlog.minutes_since_2020());",
        "    opened := eventlog.minutes_since_2020();",
        (f"{_EPOCHS}test_an_epoch_never_repeats",),
    ),
    Mutant(
        "Redis's epoch forgotten",
        "4",
        "a new epoch is greater than any that Redis shows",
        NUMBERING,
        "p_redis + 1,\n",
        "0,\n",
        (f"{_EPOCHS}test_an_epoch_never_repeats",),
    ),
    Mutant(
        "a restored database is taken for the old one",
        "1.7",
        "after a restore what is unnumbered is found by joining, once",
        NUMBERING,
        "    IF i.system <> s.system OR i.database <> s.database THEN\n        PERFORM",
        "    IF false THEN\n        PERFORM",
        (f"{_EPOCHS}test_after_a_dump_and_restore_xids_of_the_old_server_are_no_new_events",),
    ),
    Mutant(
        "foreign Redis accepted",
        "4",
        "Redis of another installation is refused",
        PUBLISHER,
        "        if found != owner:\n",
        "        if found is None:\n",
        (f"{_PUBLISHED}test_redis_of_another_installation_is_refused_at_the_start",),
    ),
    Mutant(
        "a flush opens an epoch",
        "1.4",
        "losing Redis forces no client to reload",
        PUBLISHER,
        "        if last is not None and last > (now.epoch, now.head):\n",
        "        if last is None and now.head:\n"
        "            last = Position(now.epoch, now.head + 1)\n"
        "        if last is not None and last > (now.epoch, now.head):\n",
        (_REFILLED,),
    ),
    Mutant(
        "published before its commit",
        "4",
        "numbered, committed, then published",
        "shared/eventlog/sequencer.py",
        "            rows: list[Any] = await connection.fetch(_NUMBER, self.log, self._epoch, PAGE)\n",
        "            async with connection.transaction():\n"
        "                rows: list[Any] = await connection.fetch(_NUMBER, self.log, self._epoch, PAGE)\n"
        "                if rows and self._publisher is not None:\n"
        "                    self._publisher.numbered(self._epoch, rows)\n"
        "                    await asyncio.sleep(0.05)\n",
        (f"{_PUBLISHED}test_what_the_stream_shows_is_committed",),
    ),
]
