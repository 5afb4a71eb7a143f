"""What a trace answers, as it is printed with --json. Ids are text, as everywhere outside."""

from datetime import datetime
from typing import Literal

import msgspec

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


class ForMember(Answer, frozen=True, kw_only=True):
    """One event as it concerns one member."""

    channels: list[Channel]
    inbox: Inbox


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
    dead_letter: Letter | None
    member: ForMember | None


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
    sessions: str
