"""Named places between two steps where tests may kill or hold the sequencer. Inert in production: nothing sets a hook.

The order of the steps is the safety argument, so each of them is named here and every gap is tried.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

Name = Literal[
    "connected",  # the lock is ours, nothing is compared
    "compared",  # server and installation are known to Postgres
    "numbered",  # committed, not yet handed to the publisher
    "attached",  # the stream's end is known
    "begun",  # the stream was emptied, nothing is refilled
    "publishing",  # a page is about to be appended
    "published",  # a page was appended, nobody noted it
    "epoch_opened",  # the heads are in the new epoch, the streams are not
]

Hook = Callable[[Name, int], Awaitable[None]]
_hook: Hook | None = None


def hold(hook: Hook | None) -> None:
    """From now on `hook(name, log)` is awaited at each point; what it raises goes up as if it happened there."""
    global _hook
    _hook = hook


async def reached(name: Name, log: int) -> None:
    """The sequencer of `log` is at this point."""
    if _hook is not None:
        await _hook(name, log)
