"""`home`: one subscription that stands for the channels of all topics joined, and follows joining and leaving.

State is loaded with its position, then the log is followed: a membership event at or below that position is in the
state already, one above it is applied, also when it was heard while the state was being read.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from services.notify.live.frames import ErrorFrame, HomeChanged, encode
from services.notify.live.hub import Hub
from services.notify.live.recovery import Recovery, recovered
from services.notify.live.session import Session, Subscription
from shared.events import MembershipChanged
from shared.ids import parse_id
from shared.postgres import Pool, acquire, load_queries
from shared.telemetry import get_logger
from shared.wire import AsOf

log = get_logger(__name__)

queries = load_queries(Path(__file__).parent.parent / "sql" / "live.sql")


class Home(Subscription):
    """A subscription to `home`; `loaded` is the position per log that its channels were read at (None: not yet).
    `came`: by channel that it got while live, where that was."""

    __slots__ = ("came", "heard", "loaded")

    def __init__(self, request_id: int | None, since: tuple[int, ...] | None) -> None:
        super().__init__("home", request_id, since)
        self.channels = ()
        self.waiting = True
        self.loaded: list[int] | None = None
        self.heard: list[tuple[MembershipChanged, int, int]] = []
        self.came: dict[str, list[int]] = {}


class Homes:
    """Loads homes and keeps them up to date."""

    def __init__(self, pool: Pool, hub: Hub, recovery: Recovery) -> None:
        self._pool = pool
        self._hub = hub
        self._recovery = recovery
        self._tasks: set[asyncio.Task[None]] = set()
        hub.on_membership = self._hear

    def start(self, session: Session, request_id: int | None, since: tuple[int, ...] | None) -> None:
        """The session follows its member's home; `subscribed` comes when it was loaded and replayed."""
        home = Home(request_id, since)
        self._recovery.start(session, home)
        task = asyncio.create_task(self._load(session, home))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stops loading. Safe twice."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _load(self, session: Session, home: Home) -> None:
        try:
            async with acquire(self._pool) as connection:
                row = await queries.home_of(connection, account=session.account_id)
        except Exception as error:
            log.warning("home_unavailable", error=repr(error))
            if session.subscriptions.get("home") is home:
                recovered(home, "unavailable", "postgres")
                self._hub.drop(session, home)
                detail = "Your topics could not be read."
                refusal = ErrorFrame(id=home.request_id, code="busy", detail=detail, channel="home", retry_after=2)
                session.outlet.tell(encode(refusal))
            return
        if session.subscriptions.get("home") is not home:
            return
        home.loaded = msgspec.json.decode(row["cursor"], type=AsOf).seq
        topics = dict.fromkeys(row["topics"])
        for event, number, seq in home.heard:
            if seq > home.loaded[number]:
                _apply(topics, event)
        home.channels = tuple(f"topic:{slug}" for slug in topics)
        home.waiting = False
        self._recovery.resume(session)

    def _hear(self, event: MembershipChanged, number: int, seq: int) -> None:
        if (account_id := parse_id(event.account_id)) is None:
            return
        for session in list(self._hub.members.get(account_id, ())):
            home = session.subscriptions.get("home")
            if not isinstance(home, Home):
                continue
            if home.loaded is None:
                home.heard.append((event, number, seq))
            elif seq > home.loaded[number]:
                self._change(session, home, event)

    def _change(self, session: Session, home: Home, event: MembershipChanged) -> None:
        channel = f"topic:{event.topic}"
        topics = dict.fromkeys(name.removeprefix("topic:") for name in home.channels)
        before = len(topics)
        _apply(topics, event)
        if len(topics) == before:
            return
        home.channels = tuple(f"topic:{slug}" for slug in topics)
        if not home.live:
            # Begin again, chains too: what was replayed so far lacks the channel. Overlap is harmless.
            home.position = list(home.since) if home.since is not None else None
            home.written = {}
            return
        change: Callable[[Session, str], None] = self._hub.follow if event.joined else self._hub.unfollow
        change(session, channel)
        if event.joined:
            home.came[channel] = self._hub.position()
        else:
            home.came.pop(channel, None)
        added, removed = ([channel], []) if event.joined else ([], [channel])
        session.outlet.tell(encode(HomeChanged(added=added, removed=removed, as_of=self._hub.as_of())))


def _apply(topics: dict[str, None], event: MembershipChanged) -> None:
    if event.joined:
        topics[event.topic] = None
    else:
        topics.pop(event.topic, None)
