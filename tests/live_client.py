"""A live client for tests: DESIGN.md section 6 from the other side, with the same proof rule as live.js.

It keeps every (prev, seq) it was given and refuses to go on when a chain breaks its promise, so that a test which only
looks at events still fails on a hole, a repeat or an overlap that the gateway should never send.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self, TypedDict

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection

Json = dict[str, Any]
Does = Literal["apply", "drop", "gap", "ignore", "live", "mark", "reset"]
PATIENCE = 10.0
"""Seconds to wait for what a test expects; the suite runs beside six others on two cores."""


class Cursor(TypedDict):
    """`as_of` as the wire gives it."""

    epoch: int
    seq: list[int]


class Proof:
    """What a frame means for one channel, given the positions held. Pure; held to tests/vectors/proof.json."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.state: Literal["pending", "live", "ended"] = "ended"
        self.epoch: int | None = None
        self.mine: list[int] | None = None
        self.id: int | None = None

    def ask(self, request_id: int | None, since: Cursor | None) -> None:
        """A subscribe with this id was sent, from `since` or, with None, from now on."""
        self.id, self.state = request_id, "pending"
        self.epoch, self.mine = (since["epoch"], list(since["seq"])) if since else (None, None)

    def take(self, frame: Json) -> Does:
        """What the receiver has to do with `frame`."""
        kind = frame["type"]
        if kind == "mark":
            if self.state != "live" or self.mine is None or frame["log"] >= len(self.mine):
                return "ignore"
            self.mine[frame["log"]] = max(self.mine[frame["log"]], frame["seq"])
            return "mark"
        if frame.get("channel") != self.channel or self.state == "ended":
            return "ignore"
        if kind == "reset":
            self.state, self.mine, self.id = "ended", None, None
            return "reset"
        if kind == "subscribed" and frame.get("id") == self.id:
            as_of = frame["as_of"]
            held = self.mine or [0] * len(as_of["seq"])
            self.mine = [max(pair) for pair in zip(held, as_of["seq"], strict=True)]
            self.state, self.epoch = "live", as_of["epoch"]
            return "live"
        if kind != "event" or self.mine is None or frame["log"] >= len(self.mine):
            return "ignore"
        return self._place(frame["log"], frame["prev"], frame["seq"])

    def _place(self, log: int, prev: int, seq: int) -> Does:
        assert self.mine is not None
        if seq <= self.mine[log]:
            return "drop"
        if prev <= self.mine[log]:
            self.mine[log] = seq
            return "apply"
        if self.state == "pending":
            return "ignore"
        self.state, self.id = "pending", None
        return "gap"

    @property
    def since(self) -> Cursor | None:
        """Where to ask from: what is held, or None."""
        if self.mine is None or self.epoch is None:
            return None
        return {"epoch": self.epoch, "seq": list(self.mine)}


class Subscription:
    """One channel: its proof, the events applied in order, and every chain link that came."""

    def __init__(self, channel: str, fold: Callable[[Json], object] | None) -> None:
        self.proof = Proof(channel)
        self.fold = fold
        self.events: list[Json] = []
        self.chain: list[tuple[int, int, int]] = []
        """(log, prev, seq) of every event frame on this channel, applied or not."""
        self.gaps = 0
        self.resets: list[str] = []

    def take(self, frame: Json) -> Does:
        """Judge the frame, keep what it says, and check what the gateway promises of every link."""
        if frame["type"] == "event":
            assert frame["prev"] < frame["seq"], f"a link that goes nowhere: {frame}"
            self.chain.append((frame["log"], frame["prev"], frame["seq"]))
        does = self.proof.take(frame)
        if does == "apply":
            self.events.append(frame["event"])
            if self.fold is not None:
                self.fold(frame["event"])
        elif does == "gap":
            self.gaps += 1
        elif does == "reset":
            self.resets.append(frame["reason"])
        return does


class LiveClient:
    """One session and its subscriptions; positions outlive the socket, so `reconnect` resumes from them.

    `async with LiveClient(url, token) as client:`; a guest has no token. `close_code` is set once the socket is gone.
    """

    def __init__(self, url: str, token: str | None = None, *, origin: str | None = None) -> None:
        self.url, self.token, self.origin = url, token, origin
        self.subscriptions: dict[str, Subscription] = {}
        self.frames: list[Json] = []
        self.welcome: Json = {}
        self.close_code: int | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()
        self._next_id = 1

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self, token: str | None = None) -> Json:
        """Open, say hello with every subscription that has not ended, and wait for the welcome."""
        self.token = token or self.token
        self.welcome, self.close_code = {}, None
        self._socket = await websockets.connect(
            self.url,
            subprotocols=[websockets.Subprotocol("chorus.v1")],
            origin=None if self.origin is None else websockets.Origin(self.origin),
            compression=None,
            ping_interval=None,
            max_size=None,
        )
        request_id = self._take_id()
        hello: Json = {"type": "hello", "id": request_id}
        if self.token is not None:
            hello["token"] = self.token
        asked = [s for s in self.subscriptions.values() if s.proof.state != "ended"]
        hello["subscribe"] = [self._ask(s, request_id) for s in asked]
        await self.send(hello)
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.until(lambda: bool(self.welcome))
        return self.welcome

    async def reconnect(self, token: str | None = None) -> Json:
        """Leave (if still there) and come back from the positions held."""
        await self.close()
        return await self.connect(token)

    async def close(self) -> None:
        """Leave. Safe twice. Raises what went wrong while reading, such as a broken chain."""
        if self._socket is not None:
            await self._socket.close()
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader

    async def send(self, frame: Json | str | bytes) -> None:
        """Send a frame, or raw text or bytes for what a client should not send."""
        assert self._socket is not None
        await self._socket.send(frame if isinstance(frame, str | bytes) else msgspec.json.encode(frame).decode())

    async def subscribe(
        self,
        channel: str,
        since: Cursor | None = None,
        *,
        fold: Callable[[Json], object] | None = None,
        wait: bool = True,
    ) -> Subscription:
        """Follow `channel` from `since`; with `wait`, until it is live or reset. `fold` gets each event once."""
        subscription = self.subscriptions[channel] = Subscription(channel, fold)
        await self._subscribe(subscription, since)
        if wait:
            await self.until(lambda: subscription.proof.state != "pending")
        return subscription

    async def unsubscribe(self, channel: str) -> None:
        """Stop following `channel`."""
        del self.subscriptions[channel]
        await self.send({"type": "unsubscribe", "id": self._take_id(), "channels": [channel]})

    async def until(self, true: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Wait until `true()`, looked at after each frame. Raises TimeoutError, or what broke the reading."""
        async with asyncio.timeout(timeout), self._moved:
            while not true():
                if self._reader is not None and self._reader.done():
                    self._reader.result()
                    raise ConnectionError(f"the socket closed with {self.close_code} before it came true")
                await self._moved.wait()

    async def events(self, channel: str, count: int, timeout: float = PATIENCE) -> list[Json]:
        """The first `count` events applied on `channel`, once they are there."""
        subscription = self.subscriptions[channel]
        await self.until(lambda: len(subscription.events) >= count, timeout)
        return subscription.events[:count]

    async def closed(self, timeout: float = PATIENCE) -> int:
        """The close code, once the server has closed."""
        assert self._reader is not None
        await asyncio.wait_for(asyncio.shield(self._reader), timeout)
        assert self.close_code is not None
        return self.close_code

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _ask(self, subscription: Subscription, request_id: int) -> Json:
        since = subscription.proof.since
        subscription.proof.ask(request_id, since)
        channel = subscription.proof.channel
        return {"channel": channel} if since is None else {"channel": channel, "since": since}

    async def _subscribe(self, subscription: Subscription, since: Cursor | None) -> None:
        request_id = self._take_id()
        subscription.proof.ask(request_id, since)
        asked = self._ask(subscription, request_id)
        await self.send({"type": "subscribe", "id": request_id, "channels": [asked]})

    @property
    def latest(self) -> Json:
        """The newest frame but for marks, which come whenever the head moved."""
        return next(frame for frame in reversed(self.frames) if frame["type"] != "mark")

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for data in socket:
                await self._take(msgspec.json.decode(data))
        except websockets.ConnectionClosedError:
            pass
        finally:
            self.close_code = socket.close_code
            async with self._moved:
                self._moved.notify_all()

    async def _take(self, frame: Json) -> None:
        self.frames.append(frame)
        if frame["type"] == "welcome":
            self.welcome = frame
        elif frame["type"] == "mark":
            for subscription in self.subscriptions.values():
                subscription.take(frame)
        elif (found := self.subscriptions.get(frame.get("channel", ""))) and found.take(frame) == "gap":
            await self._subscribe(found, found.proof.since)
        async with self._moved:
            self._moved.notify_all()
