"""Mutants of the notifier and the inboxes: exactly once, in order, and only while it stands. DESIGN.md section 7."""

from tests.mutants.mutant import Mutant

NOTIFIER = "services/notify/inbox/notifier.py"
TELLING = "services/notify/inbox/telling.py"
FANOUT = "services/notify/inbox/fanout.py"
QUERIES = "services/notify/sql/inbox.sql"
_ONCE = "tests/notify/inbox/test_inbox_exactly_once.py::"
_CROWDS = "tests/notify/inbox/test_inbox_fanout.py::"
_KINDS = "tests/notify/inbox/test_inbox_kinds.py::"
_GUARANTEES = "tests/notify/inbox/test_inbox_guarantees.py::"
_KILLED = f"{_ONCE}test_a_kill_at_any_point_changes_nothing_but_the_time"

MUTANTS = [
    Mutant(
        "cursor moved outside the transaction",
        "7",
        "the cursor moves in the transaction that writes the notifications",
        NOTIFIER,
        "                jobs = await tell(connection, todo, requests, page_above=self._page_above)\n",
        "                await queries.move_cursor(connection, log=log_number, epoch=epoch, seq=todo[-1].seq)\n"
        '                await connection.execute("COMMIT; BEGIN")\n'
        "                jobs = await tell(connection, todo, requests, page_above=self._page_above)\n",
        (_KILLED,),
    ),
    Mutant(
        "what was handled is handled again",
        "7",
        "what lies at or below the cursor is passed over",
        NOTIFIER,
        '                todo = [entry for entry in entries if entry.seq > cursor["seq"]]\n',
        "                todo = list(entries)\n",
        (f"{_GUARANTEES}test_what_was_handled_is_passed_over_though_its_line_is_gone",),
    ),
    Mutant(
        "two notifiers handle one batch",
        "7",
        "the cursor's row is taken FOR UPDATE SKIP LOCKED",
        QUERIES,
        "where c.log = :log for update of c skip locked;",
        "where c.log = :log;",
        (f"{_ONCE}test_who_finds_a_log_led_by_another_leaves_it_alone",),
    ),
    Mutant(
        "told twice of one cause",
        "7",
        "unique per recipient and cause",
        "services/notify/inbox/inbox.py",
        "                causes=[notice.cause for _, notice in lines],\n",
        '                causes=[f"{notice.cause}:{made}" for made, notice in lines],\n',
        (f"{_GUARANTEES}test_a_batch_that_is_handled_again_adds_no_line",),
    ),
    Mutant(
        "visibility checked before the inboxes are locked",
        "7",
        "inboxes are locked first, then it is asked again what stands",
        TELLING,
        "    inboxes = await Inboxes.lock(\n"
        "        connection, {account for account, _ in gone} | {notice.recipient for notice in notices}\n"
        "    )\n"
        "    kept = await standing(connection, notices)\n",
        "    kept = await standing(connection, notices)\n"
        "    inboxes = await Inboxes.lock(\n"
        "        connection, {account for account, _ in gone} | {notice.recipient for notice in notices}\n"
        "    )\n",
        (f"{_GUARANTEES}test_what_goes_while_the_inboxes_are_waited_for_tells_nobody",),
    ),
    Mutant(
        "inboxes not locked",
        "7",
        "every inbox write locks the inbox first",
        QUERIES,
        "order by account_id for update;",
        "order by account_id;",
        (f"{_GUARANTEES}test_reading_waits_for_who_writes_into_the_inbox",),
    ),
    Mutant(
        "what stands no more is told",
        "7",
        "a cause that stands no more is told to nobody",
        TELLING,
        "        if n.post_id in posts\n",
        "        if n.post_id\n",
        (f"{_KINDS}test_what_is_deleted_before_it_was_handled_tells_nobody",),
    ),
    Mutant(
        "a crowd in the cursor's transaction",
        "7",
        "more than 100 recipients become a fan-out job",
        TELLING,
        "        if len(notices) <= page_above:\n",
        "        if len(notices) >= 0:\n",
        (f"{_CROWDS}test_a_crowd_is_left_to_a_job_and_told_page_by_page",),
    ),
    Mutant(
        "page and progress in two transactions",
        "7",
        "a page and its progress are written together",
        FANOUT,
        '            stands = await _WRITERS.get(job["kind"], _tell_page)(connection, job, recipients)\n',
        '            await queries.advance_job(connection, id=job["id"], done=job["done"] + len(recipients))\n'
        '            await connection.execute("COMMIT; BEGIN")\n'
        '            stands = await _WRITERS.get(job["kind"], _tell_page)(connection, job, recipients)\n',
        (_KILLED,),
    ),
    Mutant(
        "a job goes on though its cause is gone",
        "7",
        "each page asks again whether the cause stands",
        FANOUT,
        "    if not present:\n        return False\n",
        "",
        (f"{_CROWDS}test_a_job_stops_when_its_cause_stands_no_more",),
    ),
    Mutant(
        "a page does not ask again under the locks",
        "7",
        "a cause that goes while a page waits for its inboxes is told to nobody",
        FANOUT,
        "    if notices and not await standing(connection, notices[:1]):\n",
        "    if notices and not notices[:1]:\n",
        (f"{_GUARANTEES}test_a_crowd_whose_cause_goes_while_the_inboxes_are_waited_for_is_not_told",),
    ),
    Mutant(
        "a page tells nobody's channel",
        "7",
        "one inbox.touched a page",
        FANOUT,
        "        await outbox.append(connection, key=",
        "        _ = dict(key=",
        (f"{_CROWDS}test_a_crowd_is_left_to_a_job_and_told_page_by_page",),
    ),
    Mutant(
        "a page that fails holds up the rest",
        "7",
        "a page that fails holds up no other job",
        FANOUT,
        "        await _postpone(pool, taken[0], error)\n",
        "        raise\n",
        (f"{_CROWDS}test_a_page_that_fails_holds_up_no_other_job",),
    ),
    Mutant(
        "poison ends the notifier",
        "7",
        "a batch that fails is done again event by event",
        NOTIFIER,
        "self._handle_together(log_number, entries, epoch)\n        except Exception as error:\n",
        "self._handle_together(log_number, entries, epoch)\n        except Exception as error:\n            raise\n",
        (f"{_ONCE}test_a_poisoned_event_is_parked_and_the_rest_goes_on",),
    ),
    Mutant(
        "poison vanishes",
        "7",
        "what can't be handled is parked with its error",
        NOTIFIER,
        "                    await park(connection, log_number, entry, poison)\n",
        "",
        (f"{_ONCE}test_a_poisoned_event_is_parked_and_the_rest_goes_on",),
    ),
    Mutant(
        "an outage is taken for poison",
        "7",
        "an outage is waited out and parks nothing",
        "services/notify/inbox/dead_letters.py",
        "        return isinstance(error, _OF_THE_EVENT)\n",
        "        return True\n",
        (f"{_ONCE}test_an_outage_is_nobody_s_poison",),
    ),
    Mutant(
        "a dead letter is dropped undone",
        "7",
        "a dead letter can be replayed",
        "services/notify/inbox/dead_letters.py",
        "                    await tell(connection, [entry], requests, page_above=page_above)\n",
        "                    pass\n",
        (f"{_ONCE}test_a_dead_letter_is_replayed_once_its_cause_is_mended",),
    ),
    Mutant(
        "retention does not know the notifier",
        "4",
        "retention waits for the notifier",
        QUERIES,
        "select eventlog.consumer_passed('notifier', log, seq) from opened;",
        "select from opened;",
        (f"{_ONCE}test_retention_waits_for_the_notifier",),
    ),
    Mutant(
        "unread counted up",
        "1.3",
        "unread is absolute, computed under the lock",
        QUERIES,
        "update notify.inbox i set unread = u.unread, last_id",
        "update notify.inbox i set unread = i.unread + u.unread, last_id",
        (f"{_KINDS}test_a_reaction_is_told_once_and_taken_back_with_it",),
    ),
    Mutant(
        "a removal does not wait for other logs",
        "7",
        "one post's notifications are written by one transaction at a time, whichever log it is of",
        TELLING,
        "    await lock_posts(connection, {meaning.post_id for meaning in meanings})\n",
        "",
        (f"{_ONCE}test_a_removal_waits_for_what_another_log_is_writing_about_the_post",),
    ),
]
