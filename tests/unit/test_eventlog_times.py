"""Times of the event log that only hold together."""

from shared.eventlog import reads, stream, tail


def test_a_read_that_waits_is_over_before_the_next_look_at_the_head() -> None:
    assert reads.BLOCK < tail.CHECK_EVERY < stream.CALL_TIMEOUT


def test_a_read_beside_which_nobody_looks_at_the_head_takes_no_longer_than_lies_between_two_looks() -> None:
    assert stream.GLANCE_TIMEOUT <= tail.CHECK_EVERY
