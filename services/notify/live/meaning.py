"""What some entries mean to the hub itself, beside going to whoever follows their channels."""

from typing import TypeAlias

import msgspec

from services.notify.live.fanout import RELOADED
from shared.eventlog.entries import Entry
from shared.events import MembershipChanged, SessionRevoked, decode_payload
from shared.telemetry import get_logger

log = get_logger(__name__)

REDACTED = "log.redacted"
NOTABLE = frozenset({RELOADED, REDACTED, "session.revoked", "membership.changed"})
"""The types of entries that mean something."""


class Reloaded(msgspec.Struct, frozen=True):
    """What the entry's channels show was replaced as a whole."""


class Redacted(msgspec.Struct, frozen=True):
    """The words of entry `seq` of the same log were removed."""

    seq: int


Meaning: TypeAlias = Reloaded | Redacted | SessionRevoked | MembershipChanged

_redacted = msgspec.json.Decoder(Redacted)


def meaning(number: int, entry: Entry) -> Meaning | None:
    """What an entry of log `number` means; None when that is nothing, or can't be read: that is logged."""
    if entry.type == RELOADED:
        return Reloaded()
    try:
        if entry.type == REDACTED:
            return _redacted.decode(entry.payload)
        event = decode_payload(entry.type, entry.payload)
    except (ValueError, RecursionError):
        log.error("event_undecodable", log=number, seq=entry.seq, type=entry.type)
        return None
    return event if isinstance(event, SessionRevoked | MembershipChanged) else None
