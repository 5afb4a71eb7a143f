"""Whether an event went to a socket: the verdict, drawn from what processes say of their sockets. Pure.

Positions count, not times: `since`, `start` and `through` of a subscription bound what was written through it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, get_args

from services.notify.live.codes import Close
from services.notify.live.testimony import Crowd, Followed, Place, Seen, Testimony
from services.notify.trace.answer import Reached, Socket

_RANK = get_args(Reached)


class _Verdict(NamedTuple):
    reached: Reached
    why: str
    followed: Followed | None = None
    since: int | None = None
    start: int | None = None


def sockets_of(
    testimonies: Sequence[Testimony], place: Place, numbered_at: datetime, *, newer: int | None = None
) -> list[Socket]:
    """Every socket that was told of, as this event concerns it; first those that were open then, the newest first.

    `newer` is the position of counts that may have been written in its place.
    """
    found = [
        _socket(testimony.process, seen, place, numbered_at, newer)
        for testimony in testimonies
        for seen in testimony.seen
    ]
    return sorted(found, key=lambda each: (each.open_then, each.closed_at is None, each.opened_at), reverse=True)


def crowds_of(testimonies: Sequence[Testimony], number: int, place: Place) -> list[Crowd]:
    """Who follows the channels of the event that was asked about as number `number`, of all processes together."""
    sums: dict[str, Crowd] = {}
    for testimony in testimonies:
        for here in testimony.crowds[number] if number < len(testimony.crowds) else ():
            before = sums.get(here.channel)
            names = [name for name in Crowd.__struct_fields__ if name != "channel"]
            counts = {name: getattr(here, name) + (getattr(before, name) if before else 0) for name in names}
            sums[here.channel] = Crowd(channel=here.channel, **counts)
    return [sums[name] for name in place.channels if name in sums]


def _socket(process: str, seen: Seen, place: Place, numbered_at: datetime, newer: int | None) -> Socket:
    verdict = _verdict(seen, place)

    def position(seq: int | None) -> str | None:
        return None if seq is None else f"{seen.epoch}-{seq}"

    followed = verdict.followed
    through = followed.through[place.log] if followed is not None and followed.through is not None else None
    superseded = verdict.reached == "delivered" and through is not None and newer is not None and newer <= through
    return Socket(
        session=seen.session,
        process=process,
        opened_at=seen.opened_at,
        closed_at=seen.closed_at,
        code=seen.code,
        open_then=seen.opened_at <= numbered_at and (seen.closed_at is None or numbered_at <= seen.closed_at),
        reached=verdict.reached,
        why=f"{verdict.why}, or the newer counts at {newer} in its place" if superseded else verdict.why,
        by=None if followed is None else followed.name,
        since=position(verdict.since),
        start=position(verdict.start),
        through=position(through),
        unsent=seen.unsent,
    )


def _verdict(seen: Seen, place: Place) -> _Verdict:
    if seen.epoch < place.epoch:
        why = f"it lived in epoch {seen.epoch}, which had ended: its page fetched again"
        return _Verdict("another epoch", why)
    found = [
        _of_one(seen, each, channel, place)
        for each in seen.followed
        for channel in each.channels
        if channel in place.channels
    ]
    if found:
        return min(found, key=lambda each: _RANK.index(each.reached))
    names = [*seen.names, *([f"{seen.more} more"] if seen.more else [])]
    return _Verdict("not followed", f"it followed {', '.join(names) or 'nothing'}")


def _of_one(seen: Seen, followed: Followed, channel: str, place: Place) -> _Verdict:
    """What one subscription says of an event on a channel that it covers."""
    log, seq = place.log, place.seq
    came = followed.came.get(channel)
    since = followed.since[log] if followed.since is not None and came is None else None
    begun = came or followed.start
    start = None if begun is None else begun[log]
    through = -1 if followed.through is None else followed.through[log]
    name = followed.name if followed.name == channel else f"{followed.name} ({channel})"

    def verdict(reached: Reached, why: str) -> _Verdict:
        return _Verdict(reached, f"{name}: {why}", followed, since, start)

    if since is not None and seq <= since:
        return verdict("held", f"it came with position {since}, which is past it")
    if since is None and start is not None and seq <= start:
        return verdict("joined later", f"followed from {start} on, after it; its page fetched what was there")
    if seq <= through:
        replayed = since is not None and (start is None or seq <= start)
        how = f"replayed after {since}" if replayed else f"live from {start}"
        return verdict("delivered", f"{how}, written through {through}")
    if followed.ended:
        return verdict("left before", f"followed through {through} and then no more (unsubscribed, or reset)")
    if seen.closed_at is not None:
        return verdict("closed before", f"complete through {_place(through, since)}, from where its page resumes")
    if start is None:
        return verdict("pending", f"being caught up, so far through {_place(through, since)}")
    slow = "it reads slowly and catches up when it can" if seen.behind else "the next round brings it"
    return verdict("behind", f"live from {start}, written through {through}: {slow}")


def _place(through: int, since: int | None) -> str:
    return str(through) if through >= 0 else "nothing yet" if since is None else str(since)


def closing(code: int | None) -> str:
    """How a socket was closed, in words."""
    if code is None:
        return "its page left or was cut"
    known = code in set(Close)
    return f"{code} ({Close(code).reason})" if known else str(code)
