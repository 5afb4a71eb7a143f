"""Answers operators who ask where sockets stand (`chorus trace`), from what the live side holds anyway.

Nothing here runs for an event or a round: positions of hub, sessions and subscriptions say afterwards what was written.
All that is kept besides is what closed sockets of members followed, as bytes, the newest 2 MB of it.
"""

import asyncio
import os
import socket
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis

from services.notify.live.codes import Close
from services.notify.live.generation import Generation
from services.notify.live.home import Home
from services.notify.live.hub import Hub
from services.notify.live.session import Session, Subscription
from services.notify.live.testimony import (
    CHANNEL,
    Crowd,
    Followed,
    Place,
    Question,
    Seen,
    Testimony,
    answers_channel,
)
from shared import clock
from shared.eventlog.installation import install_id
from shared.eventlog.stream import CALL_TIMEOUT, UNAVAILABLE
from shared.hearing import PAUSE, hear
from shared.postgres import POSTGRES_AWAY, Pool
from shared.telemetry import get_logger

log = get_logger(__name__)

KEPT = 2 << 20
"""Bytes of what closed sockets followed, some 5,000 of them."""
BESIDE = 150
"""Bytes that one of them takes beside its own."""
OPEN, CLOSED, NAMES = 50, 5, 20
"""Of one member: sockets that are open and that were closed, in one answer; and names of what one follows."""
TURN = 500
"""Sockets looked at between two yields to the loop: 0.3 ms."""


class Gone(NamedTuple):
    """A closed socket: whose, when, and a Seen as bytes."""

    account: int
    at: datetime
    seen: bytes


class Witness:
    """One process's; `sockets` is the gateway's own table of whoever is connected."""

    def __init__(self, sockets: Mapping[Session, Generation], kept: int = KEPT) -> None:
        self.process = f"{socket.gethostname()}/{os.getpid()}"
        self._sockets = sockets
        self._gone: deque[Gone] = deque()
        self._room = kept
        self._since = clock.now()
        self._encoder = msgspec.json.Encoder()
        self._seen = msgspec.json.Decoder(Seen)

    def closed(self, session: Session, hub: Hub, code: Close | None) -> None:
        """The socket is about to leave the hub. Guests are not remembered: nobody could ask for one."""
        if session.account_id is None:
            return
        seen = msgspec.structs.replace(
            _seen(session, hub), closed_at=clock.now(), code=None if code is None else int(code), unsent=0
        )
        gone = Gone(session.account_id, seen.closed_at or clock.now(), self._encoder.encode(seen))
        self._gone.append(gone)
        self._room -= len(gone.seen) + BESIDE
        while self._room < 0 and self._gone:
            oldest = self._gone.popleft()
            self._room += len(oldest.seen) + BESIDE
            self._since = oldest.at

    async def answer(self, question: Question) -> Testimony:
        """What this process can say."""
        seen: list[Seen] = []
        crowds: list[list[Crowd]] = []
        if question.account is not None:
            seen = self._of_member(question.account, question.places)
        else:
            counted = _Counted({generation.hub for generation in self._sockets.values()})
            crowds = [await counted.crowds(place) for place in question.places]
        return Testimony(
            installation=question.installation,
            process=self.process,
            since=self._since,
            sockets=len(self._sockets),
            seen=seen,
            crowds=crowds,
        )

    def _of_member(self, account: int, places: Sequence[Place]) -> list[Seen]:
        asked = {channel for place in places for channel in place.channels}
        here = [(s, g.hub) for s, g in self._sockets.items() if s.account_id == account][:OPEN]
        gone = [each.seen for each in reversed(self._gone) if each.account == account][:CLOSED]
        every = [*(_seen(session, hub) for session, hub in here), *(self._seen.decode(each) for each in gone)]
        return [_concerning(seen, asked) for seen in every]

    async def run(self, redis: Redis, pool: Pool) -> None:
        """Answers until cancelled. Nothing that goes wrong here ends the process: whoever asked is told that it did not
        answer."""

        async def take(message: bytes) -> None:
            try:
                question = msgspec.json.decode(message, type=Question)
                testimony = await self._testify(question, pool)
                async with asyncio.timeout(CALL_TIMEOUT):
                    await redis.publish(answers_channel(question.id), self._encoder.encode(testimony))
            except UNAVAILABLE:
                raise
            except Exception:
                log.exception("question_not_answered")

        while True:
            try:
                await hear(redis, CHANNEL, take)
            except Exception:
                log.exception("questions_not_heard")
            await asyncio.sleep(PAUSE)

    async def _testify(self, question: Question, pool: Pool) -> Testimony:
        """Redis's channels are all installations' of that server: of another's members we know nothing. Which we are is
        asked each time, since a restore may change it."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                ours = await install_id(pool)
        except POSTGRES_AWAY:
            ours = question.installation  # as good as it gets; ids of members are no other installation's
        if question.installation == ours:
            return await self.answer(question)
        return Testimony(installation=ours, process=self.process, since=self._since, sockets=0)


def _seen(session: Session, hub: Hub) -> Seen:
    """A socket as it is now, with all that it follows."""
    through = hub.handed() if session.behind is None else session.behind
    followed = [_followed(each, through) for each in session.subscriptions.values()]
    followed += [
        Followed(
            name=left.name,
            channels=list(left.channels),
            since=left.since,
            start=left.start,
            through=left.until,
            ended=True,
        )
        for left in session.left
    ]
    return Seen(
        session=session.id,
        opened_at=clock.now() - timedelta(seconds=clock.monotonic() - session.opened),
        epoch=hub.epoch,
        behind=session.behind is not None,
        unsent=session.outlet.waiting(),
        names=list(session.subscriptions)[:NAMES],
        more=max(len(session.subscriptions) - NAMES, 0),
        followed=followed,
    )


def _followed(subscription: Subscription, handed: Sequence[int]) -> Followed:
    since = None if subscription.since is None else list(subscription.since)
    position = subscription.position
    start = position if subscription.live else None
    through = position
    if subscription.live and position is not None:
        # What lies between was replayed, though no round has brought it yet.
        through = [max(pair) for pair in zip(position, handed, strict=True)]
    came = subscription.came if isinstance(subscription, Home) else {}
    return Followed(
        name=subscription.name,
        channels=list(subscription.channels),
        since=since,
        start=None if start is None else list(start),
        through=None if through is None else list(through),
        came=came,
    )


def _concerning(seen: Seen, asked: set[str]) -> Seen:
    """Of all that a socket follows, what covers one of these channels."""
    followed = [
        msgspec.structs.replace(
            each,
            channels=[name for name in each.channels if name in asked],
            came={name: at for name, at in each.came.items() if name in asked},
        )
        for each in seen.followed
        if not asked.isdisjoint(each.channels)
    ]
    return msgspec.structs.replace(seen, followed=followed)


class _Counted:
    """Who follows which channel in these hubs: looked at once a channel and log, however many events are asked of."""

    def __init__(self, hubs: Iterable[Hub]) -> None:
        self._hubs = list(hubs)
        self._looked: dict[tuple[str, int], _Positions] = {}

    async def crowds(self, place: Place) -> list[Crowd]:
        """One a channel of the event that somebody follows here."""
        found = [(channel, await self._positions(channel, place.log)) for channel in place.channels]
        return [positions.crowd(channel, place.seq) for channel, positions in found if positions.firsts]

    async def _positions(self, channel: str, number: int) -> "_Positions":
        found = self._looked.get((channel, number))
        if found is None:
            found = self._looked[channel, number] = await self._look(channel, number)
        return found

    async def _look(self, channel: str, number: int) -> "_Positions":
        found = _Positions()
        for hub in self._hubs:
            followed = hub.channels.get(channel)
            for turn, session in enumerate(list(followed.sessions) if followed else ()):
                found.add(session, channel, number)
                if turn % TURN == 0:
                    await asyncio.sleep(0)
        found.sort()
        return found


class _Positions:
    """Of all who follow a channel: from where on it is theirs, and how far those are who are behind; in one log."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self._resumed: list[int] = []
        self._behind: list[tuple[int, int]] = []
        self._guests = 0

    def add(self, session: Session, channel: str, number: int) -> None:
        subscription = session.subscriptions.get(channel)
        if subscription is None or not subscription.live:
            subscription = session.subscriptions.get("home")
        if subscription is None or subscription.position is None:  # it left while others were looked at
            return
        came = subscription.came.get(channel) if isinstance(subscription, Home) else None
        since = subscription.since if came is None else None
        first = since[number] if since is not None else (came or subscription.position)[number]
        self.firsts.append(first)
        if since is not None:
            self._resumed.append(first)
        if session.behind is not None:
            self._behind.append((first, max(session.behind[number], subscription.position[number])))
        self._guests += session.account_id is None

    def sort(self) -> None:
        self.firsts.sort()
        self._resumed.sort()

    def crowd(self, channel: str, seq: int) -> Crowd:
        theirs = bisect_left(self.firsts, seq)  # those from before it
        behind = sum(first < seq and through < seq for first, through in self._behind)
        held = len(self._resumed) - bisect_left(self._resumed, seq)
        return Crowd(
            channel=channel,
            sockets=len(self.firsts),
            guests=self._guests,
            reached=theirs - behind,
            behind=behind,
            held=held,
            later=len(self.firsts) - theirs - held,
        )
