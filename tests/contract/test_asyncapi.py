"""The AsyncAPI document is valid AsyncAPI, names every frame, and its schemas take what the gateway really says."""

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from services.notify.live import frames
from tests.contract.documented import DOCUMENT, frame_problems, problems

TEXT = Path(frames.__file__).with_name("PROTOCOL.md").read_text()
EXAMPLES: list[str] = re.findall(r"```json (?:client|server)\n(.*?)\n```", TEXT, re.S)
GOLDEN: dict[str, Any] = msgspec.json.decode(Path(__file__).with_name("events.json").read_bytes())
SCHEMA = Path(__file__).with_name("vendor") / "asyncapi-3.0.0.json"


def test_the_document_is_valid_asyncapi() -> None:
    validator = jsonschema_rs.validator_for(msgspec.json.decode(SCHEMA.read_bytes()))
    assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: msgspec.json.decode(example)["type"])
def test_every_example_of_the_protocol_is_what_its_schema_says(example: str) -> None:
    assert frame_problems(msgspec.json.decode(example)) == []


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["type"])
def test_every_event_is_what_its_schema_says(golden: dict[str, Any]) -> None:
    event = {"type": golden["type"], "id": "8123", "at": "2026-11-23T09:30:00.123Z", **golden["payload"]}
    frame = {"type": "event", "channel": "post:100", "log": 0, "prev": 1, "seq": 2, "event": event}
    assert frame_problems(frame) == []


def test_a_frame_that_is_not_what_its_type_says_is_refused() -> None:
    payload = DOCUMENT["components"]["messages"]["mark"]["payload"]
    assert problems(payload, {"type": "mark", "log": 0, "seq": 61}) == []
    assert problems(payload, {"type": "mark", "log": 0}) != []
    assert problems(payload, {"type": "mark", "log": 0, "seq": "61"}) != []
