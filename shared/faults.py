"""Named points between two steps, where a test may kill, stop, fail or delay a process; inert unless told otherwise.

The order of the steps is the safety argument, so every gap that it rests on has a name here. What CHORUS_FAULTS makes
fire is first appended to CHORUS_FAULTS_LOG, unbuffered, so that a harness can prove it, also of a process it killed.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from shared import clock

Name = Literal[
    "sequencer:connected",  # the lock is ours, nothing is compared
    "sequencer:compared",  # server and installation are known to Postgres
    "sequencer:numbering",  # about to look for what is committed, and to number it
    "sequencer:numbered",  # committed, not yet handed to the publisher
    "sequencer:attached",  # the stream's end is known
    "sequencer:begun",  # the stream was emptied, nothing is refilled
    "sequencer:publishing",  # a page is about to be appended
    "sequencer:between_pages",  # a page was appended, more of the log is waiting
    "sequencer:published",  # a page was appended, nobody noted it
    "sequencer:epoch_opened",  # the heads are in the new epoch, the streams are not
    "feed:committing",  # the event is appended, or goes with the next statement; the commit comes next
    "feed:committed",  # committed, and not answered
    "notifier:taken",  # the cursor's row is ours
    "notifier:locked",  # and the inboxes
    "notifier:written",  # their lines are there
    "notifier:announced",  # their events are appended, the cursor has not moved
    "notifier:moved",  # the cursor has moved, nothing is committed
    "notifier:committed",  # all of it is
    "postman:claimed",  # a letter is ours, nobody has it
    "postman:sent",  # the mail server has it, nothing says so
    "fanout:page_written",  # a page of a fan-out and its progress, not committed
    "fanout:page_committed",  # all of it is
    "recovery:between_pieces",  # a replay has sent a piece, and has more to send
]
NAMES: tuple[Name, ...] = get_args(Name)
"""Every point, by the part of Chorus that passes it, in the order in which it does."""

_SYNCHRONOUS = frozenset({"feed:committed", "recovery:between_pieces"})
_SPEC = re.compile(
    r"(?P<name>[a-z_:]+)=(?P<action>[a-z]+)(?::(?P<seconds>\d+(?:\.\d+)?))?(?:@(?P<first>\d+)(?P<on>\+)?)?"
)

Hook: TypeAlias = Callable[[Name, int | None], Awaitable[None] | None]
_hook: Hook | None = None


class Injected(Exception):
    """What `=raise` raises: a failure that no code of ours expects."""


class Rule(NamedTuple):
    """What happens at a point, from the `first` arrival of this process to the `last`, both included."""

    name: Name
    action: str
    seconds: float
    first: int
    last: int


async def reached(name: Name, log: int | None = None) -> None:
    """We are at this point, about `log` if it is about one."""
    if _hook is not None and (waiting := _hook(name, log)) is not None:
        await waiting


def passed(name: Name, log: int | None = None) -> None:
    """As `reached`, where nothing can be awaited."""
    if _hook is not None and _hook(name, log) is not None:
        raise TypeError(f"nothing can wait at {name}")


def hold(hook: Hook | None) -> None:
    """From now on `hook(name, log)` is called at each point, and awaited where it asks for that; None: inert again.

    What it raises goes up as if it happened there.
    """
    global _hook
    _hook = hook


def parse(specs: Sequence[str]) -> list[Rule]:
    """Rules like `sequencer:numbered=kill@3`. Raises ValueError with a sentence for whoever wrote them.

    Actions: `kill`, `stop` (SIGSTOP), `raise`, `sleep:0.5` (this path alone waits), `stall:0.5` (the whole process).
    `@3`: at the third arrival; `@3+`: from then on each time; without: at the first.
    """
    return [_rule(spec) for spec in specs]


def configure(specs: Sequence[str], log: str) -> None:
    """Arms this process with rules, see `parse`; none leaves it inert. `log` is a path, or empty for no proof."""
    rules = parse(specs)
    if rules:
        from shared.telemetry import get_logger  # not for every command that only reads settings

        get_logger(__name__).warning("faults_armed", faults=list(specs))
        hold(_Armed(rules, log))


def _rule(spec: str) -> Rule:
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise ValueError(f"`{spec}` is not like `sequencer:numbered=kill@3`")
    name = next((each for each in NAMES if each == found["name"]), None)
    if name is None:
        raise ValueError(f"there is no point `{found['name']}`; there are {', '.join(NAMES)}")
    action, lasts = found["action"], found["seconds"] is not None
    if action not in ("kill", "stop", "raise", "sleep", "stall") or lasts != (action in ("sleep", "stall")):
        raise ValueError(f"`{spec}` needs one of kill, stop, raise, sleep:SECONDS, stall:SECONDS")
    if action == "sleep" and name in _SYNCHRONOUS:
        raise ValueError(f"nothing can sleep alone at {name}: use stall")
    first = int(found["first"] or 1)
    return Rule(name, action, float(found["seconds"] or 0), first, sys.maxsize if found["on"] else first)


class _Armed:
    """The hook of a process that was told to fail."""

    def __init__(self, rules: Sequence[Rule], log: str) -> None:
        self._rules = rules
        self._arrivals: Counter[str] = Counter()
        self._file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644) if log else None

    def __call__(self, name: Name, log: int | None) -> Awaitable[None] | None:
        self._arrivals[name] += 1
        for rule in self._rules:
            if rule.name == name and rule.first <= self._arrivals[name] <= rule.last:
                return self._fire(rule, log)
        return None

    def _fire(self, rule: Rule, log: int | None) -> Awaitable[None] | None:
        if self._file is not None:
            fired = {
                "point": rule.name,
                "action": rule.action,
                "arrival": self._arrivals[rule.name],
                "log": log,
                "pid": os.getpid(),
                "at": clock.now().isoformat(),
            }
            os.write(self._file, json.dumps(fired).encode() + b"\n")
        match rule.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "raise":
                raise Injected(rule.name)
            case "stall":
                time.sleep(rule.seconds)
            case "sleep":
                return asyncio.sleep(rule.seconds)
        return None
