"""PROTOCOL.md is kept true: every example is decoded or encoded by the code, every table names what the code has."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from services.notify.live import codes, frames
from services.notify.live.codes import Close
from shared.eventlog.entries import Entry

TEXT = Path(frames.__file__).with_name("PROTOCOL.md").read_text()
CLIENT = re.findall(r"```json client\n(.*?)\n```", TEXT, re.S)
SERVER = re.findall(r"```json server\n(.*?)\n```", TEXT, re.S)
STRUCTS: dict[str, type[frames.ServerFrame]] = {
    str(struct.__struct_config__.tag): struct for struct in frames.ServerFrame.__subclasses__()
}


def type_of(example: str) -> str:
    found: str = msgspec.json.decode(example)["type"]
    return found


@pytest.mark.parametrize("example", CLIENT, ids=type_of)
def test_what_a_client_may_say_is_understood(example: str) -> None:
    request = frames.decode_request(example)
    assert request is not None
    said, understood = msgspec.json.decode(example), msgspec.to_builtins(request)
    assert all(understood[field] == value or field in ("subscribe", "channels") for field, value in said.items())


@pytest.mark.parametrize("example", [each for each in SERVER if type_of(each) != "event"], ids=type_of)
def test_what_the_gateway_says_looks_like_this_to_the_byte(example: str) -> None:
    frame = msgspec.convert(msgspec.json.decode(example), STRUCTS[type_of(example)])
    assert frames.encode(frame) == frames.frame_text(example.encode())


def test_an_event_frame_looks_like_this_to_the_byte() -> None:
    (example,) = [each for each in SERVER if type_of(each) == "event"]
    shown: dict[str, Any] = msgspec.json.decode(example)
    event = shown["event"]
    payload = msgspec.json.encode({name: value for name, value in event.items() if name not in ("type", "id", "at")})
    entry = Entry(shown["seq"], int(event["id"]), event["type"], event["at"], (shown["channel"],), payload)
    front = frames.event_front(shown["channel"], shown["log"])
    made = frames.event_frame(front, shown["prev"], entry.seq, frames.event_body(entry))
    assert made == frames.frame_text(example.encode())


def test_every_frame_has_an_example() -> None:
    assert {type_of(each) for each in CLIENT} == {str(r.__struct_config__.tag) for r in get_args(frames.Request)}
    assert {type_of(each) for each in SERVER} == {*STRUCTS, "event"}


def test_the_close_codes_are_those_of_the_code() -> None:
    listed = {int(code): why for code, why in re.findall(r"^\| (4\d\d\d) \| ([a-z ]+)", TEXT, re.M)}
    assert set(listed) == {int(code) for code in Close}
    for code in Close:
        assert listed[code].strip().startswith(code.reason), code
        assert code.final == (code >= 4500)


def test_the_error_codes_are_those_of_the_code() -> None:
    (table,) = re.findall(r"^\| code \| about \|\n\|---\|---\|\n((?:\|.*\n)+)", TEXT, re.M)
    listed = [code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(get_args(codes.ErrorCode))


def test_the_limits_are_those_of_the_code() -> None:
    assert (codes.MAX_FRAME, codes.MAX_SUBSCRIPTIONS, codes.MESSAGES_PER_SECOND) == (65_536, 128, 20)
    assert codes.MARK_INTERVAL <= 15
