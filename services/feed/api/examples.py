"""Requests and answers of every call as a test recorded them (tests/feed/test_examples.py), for the documentation."""

from pathlib import Path
from typing import Any

import msgspec

from shared.errors import ChorusError


class Example(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call: the body that was sent and the one that came back, where there were any."""

    body: Any = None
    answer: Any = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """`calls` by operation id, `problems` by their codes."""

    calls: dict[str, Example]
    problems: dict[str, Any]


FILE = Path(__file__).with_name("examples.json")
RECORDED = msgspec.json.decode(FILE.read_bytes(), type=Recorded)


def example_of(operation: str) -> Example:
    """What was recorded of an operation; empty when nothing was."""
    return RECORDED.calls.get(operation, Example())


def problem_example(error: type[ChorusError]) -> Any:
    """A problem document of this kind, as it was recorded."""
    return RECORDED.problems[error.code]
