"""Mutants of locks, retries and the days of the log: who waits for whom, and for how long. DESIGN.md section 4."""

from tests.mutants.mutant import Mutant

POSTGRES = "shared/postgres.py"
RETENTION = "shared/eventlog/retention.py"
DAYS = "shared/migrations/versions/0011_reading.sql"
_LOCKS = "tests/feed/test_locks.py::"
_TROUBLE = "tests/feed/test_trouble.py::"
_TRY = "tests/eventlog/test_retention.py::test_a_try_waits_a_moment_for_its_lock_and_is_made_again"
_MOVED = "tests/eventlog/test_days_under_load.py::test_who_reads_while_a_day_is_made_of_what_lay_aside_misses_nothing"

MUTANTS = [
    Mutant(
        "topics locked as they come",
        "4",
        "topics are locked by slug",
        "services/feed/sql/posts.sql",
        " order by c.slug for update of c",
        " for update of c",
        (f"{_LOCKS}test_topics_are_locked_in_the_order_of_their_slugs",),
    ),
    Mutant(
        "a post locked before its topics",
        "4",
        "topics are locked before posts",
        "services/feed/edits.py",
        "                before = await _lock(connection, post_id, new)\n"
        "                post = await _own(connection, post_id, account_id)\n",
        "                post = await _own(connection, post_id, account_id)\n"
        "                before = await _lock(connection, post_id, new)\n",
        (f"{_LOCKS}test_topics_are_locked_before_their_posts",),
    ),
    Mutant(
        "a comment locked before its post",
        "4",
        "a post is locked before its comments",
        "services/feed/comments.py",
        "    post = await _hold_post(connection, post_id)\n"
        "    parent = None if new.parent is None else await _hold_parent(connection, new.parent, post_id)\n",
        "    parent = None if new.parent is None else await _hold_parent(connection, new.parent, post_id)\n"
        "    post = await _hold_post(connection, post_id)\n",
        (f"{_LOCKS}test_a_post_is_locked_before_its_comments",),
    ),
    Mutant(
        "accounts locked as they come",
        "4",
        "accounts are locked by id",
        "services/feed/sql/roles.sql",
        " order by id for update;",
        " for update;",
        (f"{_LOCKS}test_accounts_are_locked_in_the_order_of_their_ids",),
    ),
    Mutant(
        "inboxes locked as they come",
        "4",
        "inboxes are locked by member id",
        "services/notify/sql/inbox.sql",
        "order by account_id for update;",
        "for update;",
        ("tests/notify/inbox/test_inbox_guarantees.py::test_inboxes_are_locked_in_the_order_of_their_members",),
    ),
    Mutant(
        "a deadlock is an error",
        "4",
        "deadlocks are retried",
        POSTGRES,
        "_AGAIN = (asyncpg.DeadlockDetectedError, ",
        "_AGAIN = (",
        (f"{_LOCKS}test_two_who_deadlock_both_come_through",),
    ),
    Mutant(
        "a serialization failure is an error",
        "4",
        "serialization failures are retried",
        POSTGRES,
        "_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)",
        "_AGAIN = (asyncpg.DeadlockDetectedError,)",
        (f"{_LOCKS}test_what_could_not_be_serialized_is_done_again_on_what_is_there_then",),
    ),
    Mutant(
        "a lock that was not had is an error of ours",
        "4",
        "a lock that is not had in lock_timeout is 503",
        POSTGRES,
        "        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:\n",
        "        except asyncpg.QueryCanceledError as error:\n",
        (f"{_TROUBLE}test_a_lock_that_is_not_had_in_time_is_busy_and_writes_nothing",),
    ),
    Mutant(
        "nobody is told when to come back",
        "4",
        "503 says Retry-After",
        "shared/web.py",
        "    if error.retry_after is not None:\n",
        "    if error.retry_after is None:\n",
        (f"{_TROUBLE}test_a_lock_that_is_not_had_in_time_is_busy_and_writes_nothing",),
    ),
    Mutant(
        "a hot row eats the pool",
        "4",
        "a hot row may not eat the pool",
        "services/feed/turns.py",
        "                    await held.free.acquire()\n",
        "                    pass\n",
        ("tests/feed/test_turns.py::test_while_many_want_one_row_others_write_and_read",),
    ),
    Mutant(
        "retention waits as long as everybody",
        "4",
        "retention waits only a moment for its lock",
        RETENTION,
        "                await connection.execute(f\"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'\")\n",
        "",
        (_TRY,),
    ),
    Mutant(
        "retention tries once",
        "4",
        "retention tries again",
        RETENTION,
        "            if not left:\n",
        "            if left:\n",
        (_TRY,),
    ),
    Mutant(
        "no partition of the last resort",
        "4",
        "a default partition lies behind the days",
        "shared/migrations/versions/0001_eventlog.sql",
        "CREATE TABLE eventlog.event_default PARTITION OF eventlog.event DEFAULT;\n",
        "CREATE TABLE eventlog.event_default (LIKE eventlog.event);\n",
        ("tests/eventlog/test_retention.py::test_what_the_default_partition_caught_moves_to_its_day",),
    ),
    Mutant(
        "what the default partition caught stays there",
        "4",
        "what the default partition caught moves to its day",
        DAYS,
        "WITH moved AS (DELETE FROM eventlog.%I WHERE at >= %L AND at < %L RETURNING *)",
        "WITH moved AS (SELECT * FROM eventlog.%I WHERE at >= %L AND at < %L AND false)",
        ("tests/eventlog/test_retention.py::test_what_the_default_partition_caught_moves_to_its_day",),
    ),
    Mutant(
        "a day's writers wait where they have chosen already",
        "4",
        "nobody who writes is refused while a day that has begun is made",
        DAYS,
        "        LOCK TABLE ONLY eventlog.event, ONLY eventlog.entry IN ACCESS EXCLUSIVE MODE;\n",
        "        NULL;\n",
        (
            "tests/eventlog/test_days_under_load.py::"
            "test_without_a_partition_for_the_day_nothing_is_lost_and_both_doctor_and_metrics_say_so",
        ),
    ),
    Mutant(
        "a day's readers wait where they have chosen already",
        "4",
        "who reads while a day is made of what lay aside misses nothing",
        DAYS,
        "ONLY eventlog.entry IN ACCESS EXCLUSIVE MODE;\n",
        "ONLY eventlog.entry IN SHARE ROW EXCLUSIVE MODE;\n",
        (_MOVED,),
    ),
    Mutant(
        "readers keep the snapshot from before they waited",
        "4",
        "a reader that waited for a lock sees what came meanwhile",
        DAYS,
        "LANGUAGE plpgsql VOLATILE\nSET enable_seqscan",
        "LANGUAGE plpgsql STABLE\nSET enable_seqscan",
        (_MOVED,),
    ),
    Mutant(
        "what lies below the floor is read",
        "4",
        "from the floor on nothing is missing, and nothing below it is given",
        DAYS,
        "            AND seq >= (SELECT floor FROM eventlog.retained WHERE log = p_log)\n",
        "",
        ("tests/eventlog/test_retention.py::test_a_day_that_stays_when_a_later_one_goes_is_below_the_floor",),
    ),
    Mutant(
        "a full disk is no news",
        "4",
        "doctor shouts long before the disk fills",
        "shared/disk.py",
        "        return self.free < ALWAYS_LOW or ",
        "        return self.free < 0 and ",
        ("tests/e2e/test_doctor.py::test_a_disk_that_runs_full_is_shouted_about",),
    ),
]
