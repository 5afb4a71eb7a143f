"""Close codes, error codes and limits: what both sides of the socket agree on.

4000-4499: come back (first within 0-1 s at random, then full jitter doubling to 30 s). 4500-4999: do not.
"""

from enum import IntEnum
from typing import Literal

ErrorCode = Literal[
    "already_welcome",
    "another_member",
    "bad_credentials",
    "bad_since",
    "busy",
    "guest",
    "hello_first",
    "malformed",
    "too_many_subscriptions",
    "unfolded_channel",
    "unknown_channel",
]
"""What an `error` frame is about; a later release may know more."""


class Close(IntEnum):
    """Why a socket was closed by the gateway."""

    DRAIN = 4000
    EXPIRED = 4001
    TOO_SLOW = 4002
    NO_PONG = 4003
    INTERNAL = 4004
    NOT_NOW = 4005
    NEW_EPOCH = 4006
    FLOOD = 4007
    TOO_MANY_SOCKETS = 4008
    BAD_CREDENTIALS = 4500
    BAD_FRAMES = 4501
    NO_HELLO = 4502
    REVOKED = 4503
    UNKNOWN_VERSION = 4505

    @property
    def reason(self) -> str:
        """A word for people who read logs; programs read the number."""
        return self.name.lower().replace("_", " ")

    @property
    def final(self) -> bool:
        """Whether coming back can't help."""
        return self >= 4500


SUBPROTOCOL = "chorus.v1"
MAX_FRAME = 65_536
"""Bytes of a client's frame."""
MAX_SUBSCRIPTIONS = 128
"""Subscriptions of one session; `home` counts as one."""
MESSAGES_PER_SECOND = 20
MESSAGE_BURST = 40
"""A page that opens asks for everything at once; two seconds' worth is free before the rate counts."""
FRAMES_PER_SECOND = 100
"""Frames that are no message: pings, pongs, and the parts of one beyond its first."""
FRAME_BURST = 1_000
BAD_FRAMES_PER_MINUTE = 5
HELLO_TIMEOUT = 5.0
STALL_TIMEOUT = 15.0
"""Seconds in which a full write buffer must shrink by something."""
EXPIRING_NOTICE = 60.0
"""Seconds between `expiring` and the close with 4001."""
TICKET_SESSION = 3600.0
"""Seconds a session lives that began with a ticket: the ticket only proves who opened the socket."""
MARK_INTERVAL = 5.0
"""Seconds between marks while the head moves; the contract allows 15. To 10,000 sockets one costs 80 ms."""
CLOSE_TIMEOUT = 3.0
"""Seconds for the peer to answer a close; then the connection is cut."""
