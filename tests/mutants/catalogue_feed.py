"""Mutants of the feed: its writes, and the positions that its reads bear. DESIGN.md sections 1, 2, 4 and 5."""

from tests.mutants.mutant import Mutant

REACTIONS = "services/feed/reactions.py"
_POSTS = "tests/feed/test_posts.py::"
_REACTIONS = "tests/feed/test_reactions.py::"
_REPEATS = f"{_REACTIONS}test_repeats_tell_nobody_and_change_nothing"
_BEFORE = "    before = await QUERIES.reaction_to_post(connection, **target)\n    if before == kind:\n"
_GUARANTEES = "tests/feed/test_guarantees.py::"

MUTANTS = [
    Mutant(
        "wake awaited by the response",
        "2",
        "no response waits for the wake on Redis",
        "services/feed/api/posts.py",
        "    answer = await context.posts.create(member, new, key)\n    context.waker.wake()\n",
        "    answer = await context.posts.create(member, new, key)\n"
        "    from shared.eventlog import outbox\n"
        "    await outbox.wake(context.waker._redis)\n",
        (f"{_GUARANTEES}test_no_answer_waits_for_the_wake",),
    ),
    Mutant(
        "key kept outside the transaction",
        "5",
        "an Idempotency-Key is kept in the transaction that it answers",
        "services/feed/idempotency.py",
        "    if claimed is None:\n        raise Used\n",
        '    if claimed is None:\n        raise Used\n    await connection.execute("COMMIT; BEGIN")\n',
        (f"{_GUARANTEES}test_a_write_that_fails_after_its_key_was_kept_leaves_the_key_free",),
    ),
    Mutant(
        "stale version accepted",
        "5",
        "a stale version is 409 and changes nothing",
        "services/feed/edits.py",
        '                if post["version"] != wanted.version:\n',
        '                if post["version"] < wanted.version:\n',
        (f"{_POSTS}test_a_stale_version_changes_nothing",),
    ),
    Mutant(
        "versions stand still",
        "1.3",
        "an edit is one version on",
        "services/feed/sql/posts.sql",
        "    version = version + 1, edited_at = :now\n",
        "    edited_at = :now\n",
        (f"{_POSTS}test_an_edit_moves_version_topics_and_counts_and_tells_old_and_new_channels",),
    ),
    Mutant(
        "a reaction toggles",
        "5",
        "a reaction is set, never toggled",
        REACTIONS,
        f"{_BEFORE}        return\n",
        f"{_BEFORE}        kind = None\n",
        (_REPEATS,),
    ),
    Mutant(
        "a repeated reaction counts again",
        "1.3",
        "counts are absolute: a repeat changes nothing",
        REACTIONS,
        f"{_BEFORE}        return\n",
        f"{_BEFORE}        before = None\n",
        (_REPEATS,),
    ),
    Mutant(
        "counts read without their lock",
        "4",
        "an entity's row is locked before it is changed, so ids run in the order of commits",
        "services/feed/sql/posts.sql",
        "where p.id = :post_id and p.deleted_at is null for share of p for update of c;",
        "where p.id = :post_id and p.deleted_at is null for share of p;",
        (f"{_REACTIONS}test_reactions_at_the_same_moment_are_all_counted_once",),
    ),
    Mutant(
        "an edit forgets the topics it left",
        "6",
        "an edit that moves a post tells its old and its new channels",
        "services/feed/edits.py",
        "[*before, *after]",
        "[*after]",
        (f"{_POSTS}test_an_edit_moves_version_topics_and_counts_and_tells_old_and_new_channels",),
    ),
    Mutant(
        "a guest's page outlives an event",
        "5",
        "a page from memory goes when the log shows an event on its channel",
        "services/feed/memory.py",
        "            self._last.move_to_end((log, channel))\n            for key in list(",
        "            self._last.move_to_end((log, channel))\n            for key in set() and list(",
        ("tests/feed/test_memory.py::test_a_page_is_served_until_its_channel_has_an_event",),
    ),
]
