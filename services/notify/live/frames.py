"""Frames: what may be said on the socket, as Structs in and bytes out.

Both sides ignore types and fields that they do not know. Everything outgoing is a ready-made WebSocket text frame, so
that it can be joined with others and written to many sockets at once. Nothing here knows a session.
"""

import re
from typing import Annotated, Any, TypeAlias

import msgspec

from services.notify.live.codes import ErrorCode
from shared.errors import Fault
from shared.eventlog.entries import Entry
from shared.wire import AsOf

RequestId: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)] | None
"""Chosen by the client and given back; JavaScript's numbers end at 53 bits."""
Seq: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Since(msgspec.Struct, frozen=True):
    """Where a client stands: a position per log, all of one epoch."""

    epoch: Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]
    seq: Annotated[tuple[Seq, ...], msgspec.Meta(max_length=64)]


class Asked(msgspec.Struct, frozen=True):
    """One channel of a subscribe; without `since`: from now on."""

    channel: str
    since: Since | None = None


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Something a client says; `id` comes back in the answer."""

    id: RequestId = None


class Hello(ClientFrame, frozen=True, kw_only=True, tag="hello"):
    """The first frame, within HELLO_TIMEOUT; without a token: a guest."""

    token: str | None = None
    subscribe: tuple[Asked, ...] = ()


class Subscribe(ClientFrame, frozen=True, kw_only=True, tag="subscribe"):
    """Follow these channels; a channel asked for again starts again."""

    channels: tuple[Asked, ...]


class Unsubscribe(ClientFrame, frozen=True, kw_only=True, tag="unsubscribe"):
    """Stop following these channels."""

    channels: tuple[str, ...]


class Renew(ClientFrame, frozen=True, kw_only=True, tag="renew"):
    """Go on with newer credentials of the same member."""

    token: str


class Ping(ClientFrame, frozen=True, kw_only=True, tag="ping"):
    """Are you there?"""


Request: TypeAlias = Hello | Subscribe | Unsubscribe | Renew | Ping


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    id: Any = None


_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_envelope: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope)
_KNOWN = frozenset({"hello", "subscribe", "unsubscribe", "renew", "ping"})


class Malformed(Exception):
    """A frame that can't be read; `fault` says where and why, `id` is its own when that could be read."""

    def __init__(self, detail: str, request_id: int | None = None) -> None:
        self.request_id = request_id
        self.fault = Fault(field="", code="malformed", detail=detail)
        super().__init__(detail)


def decode_request(text: str | bytes) -> Request | None:
    """The request that `text` holds; None for a type this release does not know. Raises Malformed for all else."""
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeError are ValueErrors
        _refuse_unless_unknown(text, error)
        return None


def _refuse_unless_unknown(text: str | bytes, error: Exception) -> None:
    try:
        envelope = _envelope.decode(text)
    except (ValueError, RecursionError):
        raise Malformed("A frame is one JSON object with a `type`.") from None
    if envelope.type in _KNOWN:
        known = envelope.id if isinstance(envelope.id, int) and 0 <= envelope.id < 1 << 53 else None
        raise Malformed(f"{envelope.type}: {error}", known) from None


class ServerFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something the gateway says."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may send."""

    frame_bytes: int
    subscriptions: int
    messages_per_second: int


class Welcome(ServerFrame, frozen=True, kw_only=True, tag="welcome"):
    """The answer to hello. Intervals in seconds; `expires_in` is null for guests."""

    session: str
    epoch: int
    logs: int
    ping_interval: float
    expires_in: float | None
    limits: Limits


class Subscribed(ServerFrame, frozen=True, kw_only=True, tag="subscribed"):
    """The subscription is live and complete through `as_of`; `channels` only for `home`."""

    id: int | None
    channel: str
    as_of: AsOf
    channels: list[str] | None = None


class Unsubscribed(ServerFrame, frozen=True, kw_only=True, tag="unsubscribed"):
    """These channels are followed no more."""

    id: int | None
    channels: list[str]


class HomeChanged(ServerFrame, frozen=True, kw_only=True, tag="home.changed"):
    """What `home` stands for changed; added channels are complete from `as_of` on."""

    added: list[str]
    removed: list[str]
    as_of: AsOf


class Mark(ServerFrame, frozen=True, kw_only=True, tag="mark"):
    """Every live subscription is complete through `seq` of `log`."""

    log: int
    seq: int


class Reset(ServerFrame, frozen=True, kw_only=True, tag="reset"):
    """The subscription has ended: fetch again. Reasons: too_old, epoch, forbidden, reloaded."""

    channel: str
    reason: str


class ErrorFrame(ServerFrame, frozen=True, kw_only=True, tag="error"):
    """A request was refused; `retry_after` (seconds) when trying again can help, `channel` when it is about one."""

    id: int | None
    code: ErrorCode
    detail: str
    channel: str | None = None
    retry_after: float | None = None


class Renewed(ServerFrame, frozen=True, kw_only=True, tag="renewed"):
    """The newer credentials hold."""

    id: int | None
    expires_in: float


class Expiring(ServerFrame, frozen=True, kw_only=True, tag="expiring"):
    """Renew within so many seconds."""

    in_: float = msgspec.field(name="in")


class Drain(ServerFrame, frozen=True, kw_only=True, tag="drain"):
    """This process is leaving: reconnect in so many seconds; it closes with 4000 then."""

    in_: float = msgspec.field(name="in")


class Pong(ServerFrame, frozen=True, kw_only=True, tag="pong"):
    """The answer to ping."""

    id: int | None


_encoder = msgspec.json.Encoder()


def frame_text(payload: bytes) -> bytes:
    """`payload` as one unmasked, final WebSocket text frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def encode(frame: ServerFrame) -> bytes:
    """A ready-made WebSocket frame."""
    return frame_text(_encoder.encode(frame))


PING = b"\x89\x00"
"""A WebSocket ping without a payload."""

_EMPTY = re.compile(rb"\{\s*\}")


def event_body(entry: Entry) -> bytes:
    """The `event` member of a frame: type, id and time in front of the payload as it was committed.

    A payload that is no JSON object keeps its position and loses its words: `undecodable`, which clients ignore.
    """
    kind, payload = entry.type, entry.payload
    if not readable(payload):
        kind, payload = "undecodable", b"{}"
    front = b'"event":{"type":%b,"id":"%d","at":"%b"' % (_encoder.encode(kind), entry.event_id, entry.at.encode())
    return front + b"}}" if _EMPTY.fullmatch(payload) else front + b"," + payload[1:] + b"}"


_skimmer = msgspec.json.Decoder(dict[str, msgspec.Raw])


def readable(payload: bytes) -> bool:
    """Whether a payload can be spliced into a frame: one JSON object in UTF-8."""
    try:
        payload.decode()
        _skimmer.decode(payload)
    except (ValueError, RecursionError):
        return False
    return payload[:1] == b"{" and payload[-1:] == b"}"


def event_front(channel: str, log: int) -> bytes:
    """The part of an event frame that all events of a channel and log share."""
    return b'{"type":"event","channel":%b,"log":%d,"prev":' % (_encoder.encode(channel), log)


def event_frame(front: bytes, prev: int, seq: int, body: bytes) -> bytes:
    """A ready-made event frame."""
    return frame_text(b'%b%d,"seq":%d,%b' % (front, prev, seq, body))
