"""One reader: a WebSocket written against the protocol's text, its subscriptions, and what it shows.

It reconnects as live.js does, with every position it holds, and obeys resets by a fresh read. Its jitter is a tenth of
a page's, so that a run sees ten times as many reconnections.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.torture.book import Book
from services.torture.chain import Chain
from services.torture.fold import View
from services.torture.home import NAME as HOME
from services.torture.home import Home
from services.torture.http import Http, Unreached
from services.torture.line import Line
from services.torture.lives import Life
from services.torture.members import Member
from services.torture.mine import Mine
from services.torture.pages import Reader

Json = dict[str, Any]
NEVER = {4004, 4007, 4008}
"""What no reader of ours deserves: an error of the server's, too much said, too many sockets."""
TOO_SLOW = 4002


class Subscription:
    """One channel followed: its chain, what it shows, and its life."""

    def __init__(self, who: str, channel: str, view: View, as_of: Json) -> None:
        self.chain = Chain(channel)
        self.chain.asked(None, as_of)
        self.view = view
        self.life = Life(who, channel, as_of)


class Client:
    """`run` lives until cancelled. `door` gives the socket's address each time; `member` None: a guest."""

    def __init__(
        self, name: str, door: Callable[[], str], feed: Http, notify: Http, member: Member | None, seed: str, book: Book
    ) -> None:
        self.name = name
        self.member = member
        self.book = book
        self.rng = random.Random(f"{seed}/{name}")  # noqa: S311
        self.subscriptions: dict[str, Subscription] = {}
        self.wanted: set[str] = set()
        self.home: Home | None = None
        self.mine = Mine()
        self.ended: list[Life] = []
        self.connections = 0
        self.at = 0
        self.proxied = False
        self.line = Line(door, self._hello, self._take, self.rng, book)
        self._reader = Reader(feed, notify, member, self.rng)
        self._by_ticket = self.rng.random() < 0.5
        self._turn = 0
        # Other pages may not be older than the inbox: what one did meanwhile would be told by neither.
        self._inbox_is_read = asyncio.Event()
        if member is None:
            self._inbox_is_read.set()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def live(self) -> bool:
        """Connected, and everything that it wants is followed to the end."""
        return (
            self.line.up
            and self.wanted == self.subscriptions.keys()
            and all(s.chain.state == "live" for s in self.subscriptions.values())
            and (self.home is None or (self.home.state == "live" and self.home.views.keys() == self.home.lives.keys()))
        )

    @property
    def lives(self) -> list[Life]:
        """Every life that was not compared yet, with its end."""
        for subscription in self.subscriptions.values():
            subscription.life.end = list(subscription.chain.mine or subscription.life.start)
        at_home: list[Life] = []
        if self.home is not None:
            for channel, life in self.home.lives.items():
                life.end = list(self.home.chains[channel].mine or life.start)
            at_home = [*self.home.ended, *self.home.lives.values()]
        return [*self.ended, *at_home, *(s.life for s in self.subscriptions.values())]

    def where(self) -> str:
        """Its positions, for whoever has to find out what went wrong."""
        held = {name: (s.life.start, s.chain.mine, len(s.life.applied)) for name, s in self.subscriptions.items()}
        return f"notify-{self.at + 1}, {self.connections} connections, from/to/applied: {held}"

    async def run(self) -> None:
        """Connects, and comes back, for ever."""
        async with asyncio.TaskGroup() as self._tasks:
            for channel in sorted(self.wanted):
                self._tasks.create_task(self._read_page(channel))
            while True:
                code = await self.line.once((Unreached,))
                if code in (4001, 4500) and self.member is not None:
                    await self.member.sign_in(self.member.token)
                elif code == 4502 and self.proxied:  # its hello was held back on the way; a page would be loaded again
                    self.book.counts["hellos held back"] += 1
                elif code is not None and self._undeserved(code):
                    self.book.wrong.append(f"{self.name} was closed with {code}")

    def _undeserved(self, code: int) -> bool:
        slow = code == TOO_SLOW and not (self.proxied or self.line.stood)
        return slow or code in NEVER or 4500 <= code < 5000

    def follow(self, channel: str) -> None:
        """It wants the channel from now on."""
        self.wanted.add(channel)
        if self._tasks is not None:
            self._tasks.create_task(self._read_page(channel))

    async def leave(self, channel: str) -> None:
        """It wants the channel no more."""
        self.wanted.discard(channel)
        self._end(channel)
        await self.line.send({"type": "unsubscribe", "id": self.line.take_id(), "channels": [channel]})

    async def _credentials(self) -> str | None:
        if self.member is None:
            return None
        if not self._by_ticket:
            return self.member.token
        answer = await self.member.call("POST", "/v1/live/ticket", {})
        if answer.status != 201:
            raise Unreached(f"no ticket: {answer.status}")
        ticket: str = answer.body["ticket"]
        return ticket

    async def _hello(self) -> Json:
        token = await self._credentials()
        request = self.line.take_id()
        asked = [self._ask(subscription, request) for subscription in self.subscriptions.values()]
        if self.home is not None:
            asked.append(self.home.asked(request))
        hello: Json = {"type": "hello", "id": request, "subscribe": asked}
        return hello if token is None else {**hello, "token": token}

    async def _take(self, frame: Json) -> None:
        match frame["type"]:
            case "welcome":
                self.line.up = True
                self.connections += 1
                await self._ask_unasked()
            case "mark":
                for subscription in self.subscriptions.values():
                    subscription.chain.take(frame)
                if self.home is not None:
                    self.home.take(frame)
            case "drain":
                self.book.slots.append(frame["in"])
                self.line.leave_in(frame["in"])
            case "expiring":
                await self.line.send({"type": "renew", "id": self.line.take_id(), "token": await self._credentials()})
            case "error":
                await self._refused(frame)
            case "event" | "subscribed" | "reset" | "home.changed":
                await self._judge(frame)

    async def _judge(self, frame: Json) -> None:
        channel = frame.get("channel", HOME)
        if frame["type"] == "event" and not frame["prev"] < frame["seq"]:
            self.book.wrong.append(f"{self.name}: a link that goes nowhere: {frame}")
        subscription = self.subscriptions.get(channel)
        if subscription is not None:
            await self._judge_one(subscription, frame)
        elif self.home is not None:
            await self._judge_home(self.home, frame)

    async def _judge_one(self, subscription: Subscription, frame: Json) -> None:
        match subscription.chain.take(frame):
            case "apply":
                self._apply(subscription.life, frame, subscription.chain.state == "live")
                subscription.view.fold(frame["event"])
                if frame["channel"].startswith("inbox:"):
                    self.mine.event(frame["event"], subscription.life.epoch, frame["log"], frame["seq"])
            case "gap":
                self._gap(frame)
                await self._subscribe([subscription])
            case "reset":
                self._reset(frame)

    async def _judge_home(self, home: Home, frame: Json) -> None:
        epoch = home.epoch
        match home.take(frame):
            case "apply":
                channel = frame["channel"]
                self._apply(home.lives[channel], frame, home.chains[channel].state == "live")
                home.apply(frame)
            case "gap":
                self._gap(frame)
                await self._ask_home()
            case "reset":
                self.book.reset(self.name, frame, epoch)
                await self._ask_home()
        if self._tasks is not None:
            for fresh, life in home.unread():
                self._tasks.create_task(self._read_at_home(home, fresh, life))

    def _gap(self, frame: Json) -> None:
        """What was written to one socket stands there whole: who misses something has missed a connection's end."""
        self.book.wrong.append(f"{self.name}: a gap on a live connection: {frame}")

    async def _read_at_home(self, home: Home, channel: str, life: Life) -> None:
        while True:
            page = await self._reader.page(channel)
            if home.read(channel, life, page):
                return
            await asyncio.sleep(0.1)  # the news of the epoch is on its way

    def _apply(self, life: Life, frame: Json, live: bool) -> None:
        self.book.counts["events applied"] += 1
        life.apply(frame)
        if life.wrong:
            self.book.wrong += life.wrong
            life.wrong = []
        # Through a proxy the network itself may be slow, and torture's own events may bear any time.
        if live and not self.proxied and not frame["event"]["type"].startswith("torture."):
            now = time.time()
            self.book.latencies.append((now, now - datetime.fromisoformat(frame["event"]["at"]).timestamp()))

    def _reset(self, frame: Json) -> None:
        channel = frame["channel"]
        self.book.reset(self.name, frame, self.subscriptions[channel].life.epoch)
        # What one did oneself has no page of its own: without the inbox's events every page is read again.
        again = {channel}
        if channel.startswith("inbox:"):
            again, self.mine = set(self.wanted), Mine()
            self._inbox_is_read.clear()
            self._turn += 1
        for each in again:
            self._end(each)
            self.follow(each)

    async def _refused(self, frame: Json) -> None:
        if frame["code"] != "busy":
            self.book.wrong.append(f"{self.name}: {frame}")
            return
        await asyncio.sleep(frame.get("retry_after") or 0.1)
        refused = [s for s in self.subscriptions.values() if s.chain.request == frame.get("id")]
        await self._subscribe([s for s in refused if s.chain.state == "pending"])
        if self.home is not None and self.home.state == "pending":
            await self._ask_home()

    async def _read_page(self, channel: str) -> None:
        if not channel.startswith("inbox:"):
            await self._inbox_is_read.wait()
        turn = self._turn
        page = await self._reader.page(channel)
        if channel not in self.wanted or channel in self.subscriptions or turn != self._turn:
            return
        if page.view is None:
            self.wanted.discard(channel)
            return
        if self.member is not None:
            self.mine.page(page.entities, page.as_of)
        subscription = self.subscriptions[channel] = Subscription(self.name, channel, page.view, page.as_of)
        if channel.startswith("inbox:"):
            self._inbox_is_read.set()
        if self.line.up:
            await self._subscribe([subscription])

    def _end(self, channel: str) -> None:
        subscription = self.subscriptions.pop(channel, None)
        if subscription is not None:
            subscription.life.end = _last(subscription)
            self.ended.append(subscription.life)

    async def _ask_unasked(self) -> None:
        """What came to be wanted between hello and welcome."""
        await self._subscribe([s for s in self.subscriptions.values() if s.chain.request is None])

    async def _subscribe(self, subscriptions: list[Subscription]) -> None:
        if subscriptions:
            request = self.line.take_id()
            asked = [self._ask(subscription, request) for subscription in subscriptions]
            await self.line.send({"type": "subscribe", "id": request, "channels": asked})

    async def _ask_home(self) -> None:
        if self.home is not None and self.line.up:
            request = self.line.take_id()
            await self.line.send({"type": "subscribe", "id": request, "channels": [self.home.asked(request)]})

    def _ask(self, subscription: Subscription, request: int) -> Json:
        since = subscription.chain.since
        subscription.chain.asked(request, since)
        return {"channel": subscription.chain.channel, "since": since}


def _last(subscription: Subscription) -> list[int]:
    """How far it was followed; a reset has taken the position away, and what was applied remains."""
    if subscription.chain.mine is not None:
        return list(subscription.chain.mine)
    end = list(subscription.life.start)
    for one in subscription.life.applied:
        end[one.log] = max(end[one.log], one.seq)
    return end
