"""A question asked over and over beside the work, whose answers are taken up when the work comes round to it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

from shared.clock import monotonic

T = TypeVar("T")


class Answer(NamedTuple, Generic[T]):
    """What came back: a value, or the exception instead. `asked_at` is monotonic time, before the question went out."""

    asked_at: float
    value: T | None
    error: Exception | None


class Watch(Generic[T]):
    """Asks every `interval` seconds, one question at a time. Nothing runs unless somebody polls."""

    def __init__(self, ask: Callable[[], Awaitable[T]], interval: float) -> None:
        self._ask = ask
        self._interval = interval
        self._due = 0.0
        self._asking: asyncio.Task[Answer[T]] | None = None

    @property
    def wait(self) -> float:
        """Seconds until it is worth polling again."""
        return max(self._due - monotonic(), 0.0)

    def poll(self) -> Answer[T] | None:
        """The newest answer if one has come in, otherwise None; asks again when it is time."""
        answer = None
        if self._asking is not None and self._asking.done():
            asking, self._asking = self._asking, None
            answer = None if asking.cancelled() else asking.result()
        if self._asking is None and monotonic() >= self._due:
            self._due = monotonic() + self._interval
            self._asking = asyncio.create_task(self.ask_now())
        return answer

    async def beside(self, work: "asyncio.Task[Any]") -> bool:
        """Waits for `work`, and no longer than until polling is worth while. Whether it is done."""
        asking = self._asking
        waiting, timeout = ([work], self.wait) if asking is None else ([work, asking], None)
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return work.done()

    async def ask_now(self) -> Answer[T]:
        """Asks and waits for the answer. Exceptions come back in it; cancellation passes."""
        asked_at = monotonic()
        try:
            return Answer(asked_at, await self._ask(), None)
        except Exception as error:
            return Answer(asked_at, None, error)

    async def aclose(self) -> None:
        """Nothing is under way any more. Twice is safe."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
            self._asking = None
