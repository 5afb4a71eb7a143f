"""Named points between two steps, where a test may end the process; in production nothing happens at them.

A kill between any two steps must leave inboxes as if the step before had never begun, or all of it: the tests go
through every name below.
"""

from collections.abc import Callable

NAMES = ("taken", "locked", "written", "announced", "moved", "committed", "page.written", "page.committed")
"""Every point, in the order in which a batch and then a page of a fan-out pass them."""


def _pass(_name: str) -> None:
    return


reached: Callable[[str], None] = _pass
"""Called at each point with its name; replaced by tests alone."""
