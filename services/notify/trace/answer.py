"""What a trace answers, as it is printed with --json. Ids are text, as everywhere outside."""

from datetime import datetime
from typing import Literal

import msgspec

from services.notify.live.testimony import Crowd

Reached = Literal[
    "delivered",
    "held",
    "behind",
    "pending",
    "closed before",
    "left before",
    "joined later",
    "not followed",
    "another epoch",
]
"""Of several subscriptions that cover an event, the first of these tells."""
InStream = Literal["there", "not yet", "trimmed", "missing", "not numbered", "redis is away", "no redis"]
Told = Literal[
    "told",
    "told before",
    "own action",
    "not concerned",
    "tells no inbox",
    "takes away",
    "not handled yet",
    "waits in a job",
    "dead letter",
    "gone",
    "unexplained",
]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts of an answer."""


class Log(Answer, frozen=True, kw_only=True):
    """One log: Postgres's head and floor, and the ends of its stream (null: empty, or Redis is away)."""

    log: int
    epoch: int
    head: int
    floor: int
    stream_first: str | None
    stream_last: str | None
    redis: str | None
    """Why Redis could not be asked; null when it was."""


class Consumer(Answer, frozen=True, kw_only=True):
    """A durable follower of a log, and how many positions it is behind the head."""

    name: str
    log: int
    seq: int
    behind: int
    moved_at: datetime


class Letter(Answer, frozen=True, kw_only=True):
    """The event could not be handled, and waits for a replay."""

    error: str
    parked_at: datetime


class Channel(Answer, frozen=True, kw_only=True):
    """Whether the member may follow a channel, and whether their `home` does."""

    channel: str
    may: bool
    home: bool


class Inbox(Answer, frozen=True, kw_only=True):
    """What an event did to the member's inbox, and why; `line` is the notification's id, if there is one."""

    told: Told
    why: str
    line: str | None = None
    kind: str | None = None
    read: bool | None = None


class Socket(Answer, frozen=True, kw_only=True):
    """One of the member's sockets, and whether an event went to it. Positions are `epoch-seq` in the event's log.

    `open_then`: it was connected when the event was numbered. `by`: the subscription that `reached` is about: it
    resumed from `since` (null: from now on), is live from `start` (null: not yet), and was written `through`, where a
    page that comes back may resume. `unsent`: bytes that wait for its reader. `code`: how it was closed (null: its page
    left).
    """

    session: str
    process: str
    opened_at: datetime
    closed_at: datetime | None
    code: int | None
    open_then: bool
    reached: Reached
    why: str
    by: str | None
    since: str | None
    start: str | None
    through: str | None
    unsent: int


class Process(Answer, frozen=True, kw_only=True):
    """A notify process that answered: its host and process id, and from when on it remembers closed sockets."""

    process: str
    since: datetime
    sockets: int


class Sessions(Answer, frozen=True, kw_only=True):
    """Who was asked about sockets: `heard` processes, null where a cluster can't tell; `away`: why nobody was."""

    away: str | None
    heard: int | None
    processes: list[Process]


class ForMember(Answer, frozen=True, kw_only=True):
    """One event as it concerns one member; `sockets` is null where nobody could be asked, or it has no position."""

    channels: list[Channel]
    inbox: Inbox
    sockets: list[Socket] | None = None


class Traced(Answer, frozen=True, kw_only=True):
    """One event on its way; `position` is null until it is numbered. It committed between `appended_at` and
    `numbered_at`."""

    event: str
    type: str
    log: int
    appended_at: datetime
    numbered_at: datetime | None
    position: str | None
    request: str | None
    """The request that caused it, as in the logs of both services; null where none did, or before it was stored."""
    channels: list[str]
    stream: InStream
    passed: list[str]
    """Consumers that are past it."""
    waiting: list[str]
    """Consumers that have yet to come to it."""
    newer: str | None
    """Of counts, the position of the next ones of the same entity: what had both at once was sent those alone."""
    dead_letter: Letter | None
    member: ForMember | None
    crowds: list[Crowd] | None = None
    """Without a member, of all processes together; null where nobody could be asked, or it has no position."""


class Subject(Answer, frozen=True, kw_only=True):
    """The post that was asked for."""

    post: str
    author: str
    deleted: bool


class Trace(Answer, frozen=True, kw_only=True):
    """Everything; `note` says what a person should know before reading the rest."""

    post: Subject | None
    note: str | None
    events: list[Traced]
    logs: list[Log]
    consumers: list[Consumer]
    member: str | None
    sessions: Sessions
