"""One session's protocol state: what it may send, what it follows, how far it is. No sockets, no clock of its own.

`receive` judges a text frame; everything else is bookkeeping for the hub and the recovery, which say what becomes true.
"""

import secrets
from array import array
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from services.notify.live.bucket import Bucket
from services.notify.live.codes import (
    BAD_FRAMES_PER_MINUTE,
    MAX_SUBSCRIPTIONS,
    MESSAGE_BURST,
    MESSAGES_PER_SECOND,
    Close,
    ErrorCode,
)
from services.notify.live.frames import Asked, Hello, Malformed, Request, Subscribe, decode_request
from shared.auth import Principal
from shared.slugs import SLUG_MAX, fold
from shared.visibility import parse_channel

SHUT = -1
"""Stands in a lane, in place of a descriptor, while something is in the way (`lanes.py`)."""


class Outlet(Protocol):
    """What a session needs of its socket."""

    paused: bool
    """Whether so much waits to go out that no round or replay may write."""
    share: int
    """Bytes that one write of a round or a replay may have."""

    def waiting(self) -> int:
        """Bytes that were written and have not gone out."""

    def board(self, descriptors: "array[int]", lane: int) -> None:
        """From now on the socket has this lane, which is shut; it shuts it whenever something comes in the way."""

    def clear(self) -> bool:
        """Opens the lane, unless something is in the way; whether it is open."""

    def offer(self, frames: bytes) -> bool:
        """A round's frames are written behind what is in the way; False when there is no room for so many bytes now."""

    def write(self, frames: bytes) -> None:
        """Hands ready-made frames to the transport; a closed one ignores them."""

    def tell(self, frames: bytes) -> None:
        """Writes what is no part of a round or a replay; a peer that lets too much of that wait is closed."""

    def end(self, code: Close) -> None:
        """Closes with `code`; what can't be written any more is cut. Twice is safe."""


class Refused(Exception):
    """A frame was refused: answer with an `error`."""

    def __init__(self, code: ErrorCode, detail: str, request_id: int | None, *, channel: str | None = None) -> None:
        self.code = code
        self.request_id = request_id
        self.channel = channel
        super().__init__(detail)


class Ended(Exception):
    """The session ends with this close code."""

    def __init__(self, code: Close) -> None:
        self.code = code
        super().__init__(code.reason)


class Subscription:
    """One name that a session follows: a channel, or `home`, which stands for many.

    `position`: while pending, everything through here has been written, per log; then where it became live. `waiting`:
    for something that is not here yet. `extended`: its replay needed Postgres. `written`: what a replay sent last, by
    channel and log.
    """

    __slots__ = ("channels", "extended", "live", "name", "position", "request_id", "since", "waiting", "written")

    def __init__(self, name: str, request_id: int | None, since: tuple[int, ...] | None) -> None:
        self.name = name
        self.request_id = request_id
        self.since = since
        self.position = list(since) if since is not None else None
        self.channels: tuple[str, ...] = (name,)
        self.live = False
        self.waiting = False
        self.extended = False
        self.written: dict[tuple[str, int], int] = {}


class Left(NamedTuple):
    """A subscription that ended while its socket stayed: as it was, and through where per log it was followed."""

    name: str
    channels: tuple[str, ...]
    since: list[int] | None
    start: list[int] | None
    until: list[int]


LEFT = 8
"""Subscriptions that a session remembers having ended; only operators ask for them."""


class Session:
    """The state of one socket from its accept to its end. `opened`: on the monotonic clock.

    `behind`: None, or the position per log through which every live subscription has been written, while the hub leaves
    the session out; `base` is where its catching up began (None: not yet), `extended` whether that needed Postgres.
    `lane`: 0 while it has none; `followed`: how many channels the hub brings it.
    """

    __slots__ = (
        "__weakref__",
        "_bad",
        "_before",
        "_messages",
        "account_id",
        "base",
        "behind",
        "ended",
        "extended",
        "fetching",
        "followed",
        "greeted",
        "id",
        "lane",
        "left",
        "opened",
        "outlet",
        "queued",
        "session_id",
        "subscriptions",
        "written",
    )

    def __init__(self, outlet: Outlet, now: float) -> None:
        self.id = secrets.token_hex(8)
        self.opened = now
        self.outlet = outlet
        self.lane = 0
        self.followed = 0
        self.account_id: int | None = None
        self.session_id: int | None = None
        self._before: int | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.left: tuple[Left, ...] = ()
        self.behind: list[int] | None = None
        self.base: list[int] | None = None
        self.written: dict[tuple[str, int], int] = {}
        self.greeted = False
        self.ended = False
        self.queued = False
        self.fetching = False
        self.extended = False
        self._bad: tuple[float, ...] = ()
        self._messages = Bucket(MESSAGES_PER_SECOND, MESSAGE_BURST, now)

    def receive(self, text: str | bytes, now: float) -> Request | None:
        """The request in `text`; None for a type we don't know. Raises Refused, or Ended (4007, 4501)."""
        if not self._messages.take(now):
            raise Ended(Close.FLOOD)
        try:
            request = decode_request(text)
        except Malformed as malformed:
            self._count_bad_frame(now)
            raise Refused("malformed", str(malformed), malformed.request_id) from None
        if request is None:
            return None
        if isinstance(request, Hello) == self.greeted:
            self._count_bad_frame(now)
            if self.greeted:
                raise Refused("already_welcome", "hello comes once.", request.id)
            raise Refused("hello_first", "Say hello before anything else.", request.id)
        return request

    def check_asked(self, asked: tuple[Asked, ...], request_id: int | None, logs: int) -> None:
        """Raises Refused, for the whole request, when one channel can't be, or there would be too many."""
        for each in asked:
            _check_channel(each.channel, request_id)
            if each.since is not None and len(each.since.seq) != logs:
                detail = f"`since.seq` needs one position for each of the {logs} logs."
                raise Refused("bad_since", detail, request_id, channel=each.channel)
        if len(self.subscriptions.keys() | {each.channel for each in asked}) > MAX_SUBSCRIPTIONS:
            raise Refused("too_many_subscriptions", f"A session follows {MAX_SUBSCRIPTIONS} at most.", request_id)

    def live_channels(self) -> dict[str, None]:
        """Every channel that a live subscription follows."""
        return dict.fromkeys(c for s in self.subscriptions.values() if s.live for c in s.channels)

    def follows(self, channel: str) -> bool:
        """Whether a live subscription, `home` included, covers this channel."""
        own = self.subscriptions.get(channel)
        if own is not None and own.live and channel in own.channels:
            return True
        home = self.subscriptions.get("home")
        return home is not None and home.live and channel in home.channels

    def remember(self, ended: Subscription, until: Sequence[int]) -> None:
        """A live subscription has ended at this position, or at that of its replay, which no round has come to yet."""
        since = None if ended.since is None else list(ended.since)
        through = [max(pair) for pair in zip(ended.position or until, until, strict=True)]
        left = Left(ended.name, ended.channels, since, ended.position, through)
        self.left = (*self.left[-LEFT + 1 :], left)

    def signed_in(self, principal: Principal) -> None:
        """From now on the session is this member's."""
        self.account_id = principal.account_id
        self.session_id = principal.session_id

    def renewed(self, principal: Principal) -> None:
        """From now on it is of that session of its member's, unless it turns out to be `not_renewed`."""
        self._before, self.session_id = self.session_id, principal.session_id

    def not_renewed(self) -> None:
        """It is of the session again that it was of. Raises Ended (4503) when that one was revoked meanwhile."""
        self.session_id = self._before
        if self.session_id is None:
            raise Ended(Close.REVOKED)

    def ends_with(self, session_id: str) -> bool:
        """Whether it ends when that session of its member's is revoked, as it just was."""
        if str(self._before) == session_id:
            self._before = None
        return str(self.session_id) == session_id

    def _count_bad_frame(self, now: float) -> None:
        self._bad = (*(at for at in self._bad if now - at < 60), now)
        if len(self._bad) >= BAD_FRAMES_PER_MINUTE:
            raise Ended(Close.BAD_FRAMES)


def _check_channel(name: str, request_id: int | None) -> None:
    """Raises Refused. In another spelling than its slug a topic's channel would be taken and be silent for ever."""
    channel = parse_channel(name)
    if channel is not None and channel.kind == "topic" and (slug := fold(channel.name)) != channel.name:
        if 0 < len(slug) <= SLUG_MAX:
            detail = f"A topic's channel bears its slug: topic:{slug}"
            raise Refused("unfolded_channel", detail, request_id, channel=name)
        channel = None
    if channel is None:
        detail = "Channels are topic:{slug}, post:{id}, member:{id}, inbox:{id} and home."
        raise Refused("unknown_channel", detail, request_id, channel=name[:120])


def asked_of(request: Hello | Subscribe) -> tuple[Asked, ...]:
    """The channels of either request; one named twice counts with its last `since`."""
    every = request.subscribe if isinstance(request, Hello) else request.channels
    return tuple({each.channel: each for each in every}.values())
