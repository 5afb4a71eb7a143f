"""The notifier: follows every log and brings inboxes up to it, each effect exactly once and in order.

Its place is a cursor row, moved in the transaction that writes the effects, so that what Redis or a kill does to us
changes nothing. Every notify process runs one; whoever has a log's cursor row leads it for that batch.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

from prometheus_client import Gauge
from redis.asyncio import Redis

from services.notify.inbox.dead_letters import is_of_the_event, park
from services.notify.inbox.fanout import PAGE, write_page
from services.notify.inbox.inbox import queries, rows_of
from services.notify.inbox.recipients import concerns_inboxes
from services.notify.inbox.telling import requests_of, tell
from shared import clock
from shared.errors import Busy
from shared.eventlog.entries import Entry
from shared.eventlog.position import Position
from shared.eventlog.tail import BehindFloor, EpochChanged, Tail
from shared.faults import reached
from shared.postgres import Pool, acquire, retrying, transaction
from shared.telemetry import get_logger

T = TypeVar("T")
log = get_logger(__name__)

POSITION = Gauge("chorus_notifier_position", "Position through which the notifier has handled a log.", ["log"])

PAGE_ABOVE = 100
"""Recipients of one cause that the cursor's transaction writes itself; more become a fan-out job."""
BATCH = 200
"""Entries a transaction: inboxes stay locked for some tens of milliseconds."""
GATHER = 0.025
"""Seconds between two reads of a log that we have caught up with: the live tail beside us takes each entry at once, and
is not kept waiting while we take the same one."""
LED_ELSEWHERE = 0.05
"""Seconds until we look again at a log that another process leads: it needs about 10 ms for a batch."""
IDLE_MOVE = 1.0
"""Seconds at least between two moves of a cursor past entries that concern no inbox: a busy log costs no writes."""
JOB_POLL = 1.0
"""Seconds after which a fan-out job of another process, or one that failed, is found."""
LONGEST_WAIT = 5.0
"""Seconds at most between two attempts while Postgres is away."""


def handled(log_number: int) -> float:
    """The position through which a log has been handled, as far as this process knows."""
    return next((sample.value for metric in POSITION.labels(log_number).collect() for sample in metric.samples), 0.0)


class Notifier:
    """`run()` follows all logs until it is cancelled; any number of processes may do so at once."""

    def __init__(
        self,
        pool: Pool,
        redis: "Redis | None" = None,
        *,
        wake: Callable[[], None] = lambda: None,
        page_above: int = PAGE_ABOVE,
        page: int = PAGE,
    ) -> None:
        """`wake` is called after each commit that may have appended events; more than `page_above` make a job."""
        self._pool = pool
        self._redis = redis
        self._wake = wake
        self._page_above = page_above
        self._page = page
        self._job_added = asyncio.Event()

    async def run(self) -> None:
        """Follows every log, and writes fan-out jobs; ends only by cancellation or a broken assumption."""
        async with asyncio.TaskGroup() as tasks:
            for log_number in await _patiently(self._logs, "notifier_held"):
                follow = partial(self._follow, log_number)
                tasks.create_task(_patiently(follow, "notifier_held", log=log_number), name=f"notifier-{log_number}")
            tasks.create_task(_patiently(self._write_jobs, "fanout_held"), name="notifier-fanout")

    async def handle(self, log_number: int, entries: Sequence[Entry], epoch: int) -> bool:
        """The log is complete through `entries`, which follow what was handled; False when another process leads it.

        What was handled before is passed over. Raises Busy when Postgres was not to be had; then nothing has changed.
        """
        try:
            return await self._handle_together(log_number, entries, epoch)
        except Exception as error:
            if not is_of_the_event(error):
                raise
        for entry in entries:
            if not await self._handle_or_park(log_number, entry, epoch):
                return False
        return True

    async def _handle_together(self, log_number: int, entries: Sequence[Entry], epoch: int) -> bool:
        async def attempt() -> bool:
            async with transaction(self._pool) as connection:
                cursor = await queries.take_cursor(connection, log=log_number)
                if cursor is None:
                    return False
                await reached("notifier:taken")
                todo = [entry for entry in entries if entry.seq > cursor["seq"]]
                if not todo:
                    return True
                _check_still_there(cursor, epoch, todo[-1])
                requests = await requests_of(connection, log_number, todo)
                jobs = await tell(connection, todo, requests, page_above=self._page_above)
                await queries.move_cursor(connection, log=log_number, epoch=epoch, seq=todo[-1].seq)
                await reached("notifier:moved")
            await reached("notifier:committed")
            self._wake()
            if jobs:
                self._job_added.set()
            return True

        return await retrying(attempt)

    async def _handle_or_park(self, log_number: int, entry: Entry, epoch: int) -> bool:
        try:
            return await self._handle_together(log_number, [entry], epoch)
        except Exception as error:
            if not is_of_the_event(error):
                raise
            poison = error

        async def attempt() -> bool:
            async with transaction(self._pool) as connection:
                cursor = await queries.take_cursor(connection, log=log_number)
                if cursor is None:
                    return False
                if entry.seq > cursor["seq"]:
                    _check_still_there(cursor, epoch, entry)
                    await park(connection, log_number, entry, poison)
                    await queries.move_cursor(connection, log=log_number, epoch=epoch, seq=entry.seq)
                return True

        return await retrying(attempt)

    async def _logs(self) -> list[int]:
        async with acquire(self._pool) as connection:
            return [row["log"] for row in await rows_of(queries.logs(connection))]

    async def _follow(self, log_number: int) -> None:
        while True:
            start = await self._start(log_number)
            # seq never restarts: go on by position, under the epoch and above the floor that are read afresh.
            with contextlib.suppress(EpochChanged, BehindFloor):
                async with aclosing(Tail(log_number, pool=self._pool, redis=self._redis, start=start)) as tail:
                    await self._follow_tail(log_number, tail)

    async def _follow_tail(self, log_number: int, tail: Tail) -> None:
        passed: list[Entry] = []
        moved_at = 0.0
        while True:
            try:
                async with asyncio.timeout(IDLE_MOVE if passed else None):
                    batch = await anext(tail)
            except TimeoutError:  # nothing more came: those passed over are handled, and the cursor says so
                batch = []
            for first in range(0, len(batch) or 1, BATCH):
                part = batch[first : first + BATCH] or passed
                concerns = any(concerns_inboxes(entry.type, entry.payload, entry.at) for entry in part)
                if not concerns and clock.monotonic() - moved_at < IDLE_MOVE:
                    passed = part[-1:]
                    continue
                settle = partial(self._settle, log_number, part, tail.position.epoch)
                await _patiently(settle, "notifier_held", log=log_number, seq=part[0].seq)
                passed, moved_at = [], clock.monotonic()
            if len(batch) < BATCH:
                await asyncio.sleep(GATHER)

    async def _settle(self, log_number: int, entries: Sequence[Entry], epoch: int) -> None:
        while not await self.handle(log_number, entries, epoch):  # noqa: ASYNC110 - led by another process
            await asyncio.sleep(LED_ELSEWHERE)
        POSITION.labels(log_number).set(entries[-1].seq)

    async def _start(self, log_number: int) -> Position:
        """Where to go on: the cursor, in the present epoch."""
        async with acquire(self._pool) as connection:
            await queries.open_cursor(connection, log=log_number)
            cursor = await queries.read_cursor(connection, log=log_number)
        if cursor["seq"] < cursor["floor"] - 1:
            # Retention waits for us, so somebody took the entries away by hand. Going on is all that is left.
            log.error("notifier_missed_entries", log=log_number, after=cursor["seq"], floor=cursor["floor"])
        start = Position(cursor["epoch"], max(cursor["seq"], cursor["floor"] - 1))
        POSITION.labels(log_number).set(start.seq)
        return start

    async def _write_jobs(self) -> None:
        while True:
            self._job_added.clear()
            if await write_page(self._pool, size=self._page):
                self._wake()
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._job_added.wait(), JOB_POLL)


def _check_still_there(cursor: Any, epoch: int, last: Entry) -> None:
    """What was read before a restore may not be handled after it: the cursor would pass over what comes in its place.

    Raises EpochChanged; or Busy while nobody has found the restore out yet.
    """
    if cursor["log_epoch"] != epoch:
        raise EpochChanged(cursor["log_epoch"])
    if last.seq > cursor["head"]:
        raise Busy(f"The log ends at {cursor['head']}, before {last.seq}: history was lost.")


async def _patiently(work: Callable[[], Awaitable[T]], event: str, **fields: object) -> T:
    """What `work` returns, begun again for as long as it fails: the log waits for us, and loses nothing.

    Cancellation passes, and EpochChanged. What is wrong with one event never comes here: it is parked.
    """
    wait = 0.1
    while True:
        try:
            return await work()
        except EpochChanged:
            raise
        except Busy as error:
            log.warning(event, detail=error.detail, **fields)
        except Exception as error:
            log.error(event, exc_info=error, **fields)
        await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - spreads, hides nothing
        wait = min(wait * 2, LONGEST_WAIT)
