"""On Python 3.11 `asyncio.wait_for`, which redis-py and asyncpg use, drops a cancellation that arrives as it finishes.

A loop that never ends would then never be stopped: it asks here on every round.
"""

import asyncio


class Cancellation:
    """Made where a loop begins; `heed` raises the CancelledError that somebody below us dropped since."""

    def __init__(self) -> None:
        self._seen = self._asked()

    def heed(self) -> None:
        """Raises CancelledError when our task was asked to end since, and is still here."""
        if self._asked() > self._seen:
            raise asyncio.CancelledError

    @staticmethod
    def _asked() -> int:
        task = asyncio.current_task()
        return 0 if task is None else task.cancelling()
