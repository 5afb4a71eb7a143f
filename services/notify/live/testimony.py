"""What operators may ask about sockets, and what a process answers: facts, from which `chorus trace` draws the verdict.

Both travel over Redis's channels and hold ids, positions and names of channels, no word of anybody. What a release does
not know of a newer one's is ignored.
"""

from datetime import datetime

import msgspec

CHANNEL = "chorus:sessions"
"""Where questions are asked."""


def answers_channel(question_id: str) -> str:
    """Where a question is answered."""
    return f"{CHANNEL}:{question_id}"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered event, as far as sockets are concerned."""

    log: int
    epoch: int
    seq: int
    channels: list[str]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Where this member's sockets stand; with no `account`: how many sockets follow the events' channels, and stand
    where. `installation` is whose processes are asked."""

    id: str
    installation: str
    account: int | None
    places: list[Place]


class Followed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One subscription. Positions are per log.

    `since`: where it resumed from, None: from now on. `start`: where it became live, None: not yet. `through`: all of
    it up to here has been handed to the socket. `ended`: it is followed no more, and `through` is where that was.
    `came`: channels that `home` got later, and where.
    """

    name: str
    channels: list[str]
    since: list[int] | None = None
    start: list[int] | None = None
    through: list[int] | None = None
    ended: bool = False
    came: dict[str, list[int]] = msgspec.field(default_factory=dict)


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One socket of a member; `closed_at` None: it is open. `code`: ours, None: the other side left.

    `behind`: rounds leave it out until it has caught up. `unsent`: bytes of it that wait for its reader.
    `names`: what it follows, the first of them; `more`: how many others.
    """

    session: str
    opened_at: datetime
    epoch: int
    closed_at: datetime | None = None
    code: int | None = None
    behind: bool = False
    unsent: int = 0
    names: list[str] = []
    more: int = 0
    followed: list[Followed] = []


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Sockets that follow a channel now, as one event concerns them: it went to `reached`, `behind` will get it when
    they catch up, `held` came with a position past it, `later` came from now on, after it."""

    channel: str
    sockets: int
    guests: int
    reached: int
    behind: int
    held: int
    later: int


class Testimony(msgspec.Struct, frozen=True, kw_only=True):
    """One process's answer. `since`: from when on it remembers which sockets of members were closed.

    `seen` for a question with an account; `crowds` for one without, for each place one a channel that is followed.
    """

    installation: str
    process: str
    since: datetime
    sockets: int
    seen: list[Seen] = []
    crowds: list[list[Crowd]] = []
