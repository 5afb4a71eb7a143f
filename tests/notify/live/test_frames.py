"""Frames and the session's judgement of them, without a socket."""

import contextlib
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.live.codes import Close
from services.notify.live.frames import (
    Asked,
    Hello,
    Malformed,
    Ping,
    Since,
    Subscribe,
    decode_request,
    event_body,
    event_frame,
    event_front,
    frame_text,
)
from services.notify.live.session import Ended, Refused, Session, asked_of
from shared.eventlog.entries import Entry
from tests.notify.live.judge import Client

SOUP = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["type", "id", "token", "subscribe", "channels", "channel", "since", "epoch", "seq"])
KINDS = st.sampled_from(["hello", "subscribe", "unsubscribe", "renew", "ping", "later"])
FRAMES = st.builds(lambda kind, rest: {**rest, "type": kind}, KINDS, st.dictionaries(FIELDS, SOUP, max_size=5))

MALFORMED = [
    "",
    "no json",
    "{",
    "[]",
    "null",
    "17",
    '"hello"',
    "{}",
    '{"type":5}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","channels":{}}',
    '{"type":"subscribe","channels":[5]}',
    '{"type":"subscribe","channels":["post:1"]}',
    '{"type":"subscribe","channels":[{"channel":null}]}',
    '{"type":"subscribe","channels":[{"channel":"post:1","since":{"epoch":-1,"seq":[1]}}]}',
    '{"type":"subscribe","channels":[{"channel":"post:1","since":{"epoch":7,"seq":[-1]}}]}',
    '{"type":"subscribe","channels":[{"channel":"post:1","since":{"epoch":7,"seq":["1"]}}]}',
    '{"type":"subscribe","channels":[{"channel":"post:1","since":[7,1]}]}',
    '{"type":"subscribe","channels":[{"channel":"post:1","since":{"epoch":1e400,"seq":[1]}}]}',
    '{"type":"ping","id":"six"}',
    '{"type":"ping","id":-1}',
    '{"type":"ping","id":' + "9" * 4_000 + "}",
    '{"type":"ping","id":1}{"type":"ping","id":2}',
    '{"type":"hello","token":7}',
    '{"type":"unsubscribe","channels":"post:1"}',
    '{"type":"ping","x":"\\ud800"}',
    '{"type":"ping","x":"\ud800"}',
    '{"type":"ping","x":"\udcff"}',
    '{"type":"ping","x":"\x00"}',
    '{"type":"ping","x":NaN}',
    '{"type":"ping","x":' + "[" * 20_000 + "]" * 20_000 + "}",
    "[" * 60_000,
    '{"a":' * 10_000,
]
"""Each of these is answered by an `error`, or passed over where JSON allows it; none may do more."""


def entry(payload: bytes, kind: str = "x") -> Entry:
    return Entry(5, 77, kind, "2026-11-23T09:30:00.123Z", ("post:1",), payload)


def says(frame: bytes) -> Any:
    """What a ready-made frame holds, checked against RFC 6455's header."""
    assert frame[0] == 0x81
    size, at = frame[1], 2
    if size == 126:
        (size,), at = struct.unpack("!H", frame[2:4]), 4
        assert size >= 126
    elif size == 127:
        (size,), at = struct.unpack("!Q", frame[2:10]), 10
        assert size >= 65_536
    assert len(frame) == at + size
    return msgspec.json.decode(frame[at:])


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_the_header_says_the_length_in_the_fewest_bytes(size: int) -> None:
    assert says(frame_text(b'"' + b"x" * max(size - 2, 0) + b'"')) == "x" * max(size - 2, 0)


@given(st.dictionaries(st.text().filter(lambda name: name not in ("type", "id", "at")), SOUP, max_size=5), st.text())
def test_any_payload_is_spliced_into_a_frame_unchanged(payload: dict[str, Any], kind: str) -> None:
    try:
        raw = msgspec.json.encode(payload)
        kind.encode()
    except UnicodeEncodeError:
        return
    said = says(event_frame(event_front("post:1", 2), 3, 5, event_body(entry(raw, kind))))
    front = {"type": kind, "id": "77", "at": "2026-11-23T09:30:00.123Z"}
    assert said.pop("event") == {**front, **msgspec.json.decode(raw)}
    assert said == {"type": "event", "channel": "post:1", "log": 2, "prev": 3, "seq": 5}


@given(st.binary(max_size=40).map(lambda inner: b"{" + inner + b"}"))
def test_any_bytes_that_the_log_admits_make_a_readable_frame(payload: bytes) -> None:
    said = says(event_frame(event_front("post:1", 0), 3, 5, event_body(entry(payload))))
    assert said["event"]["id"] == "77"


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: repr(text[:50]))
def test_a_malformed_frame_is_refused_and_never_more(text: str) -> None:
    with contextlib.suppress(Malformed):
        assert decode_request(text) == Ping()


@given(st.one_of(st.text(), SOUP.map(repr), FRAMES.map(lambda frame: msgspec.json.encode(_sane(frame)).decode())))
def test_anything_is_a_request_or_unknown_or_malformed(text: str) -> None:
    session = Session(Client([]), 0.0)
    with contextlib.suppress(Refused):
        request = session.receive(text, 0.0)
        if isinstance(request, Hello | Subscribe):
            session.check_asked(asked_of(request), request.id, 1)


def _sane(value: Any) -> Any:
    """Without what JSON can't write: lone surrogates and integers past 64 bits are in MALFORMED."""
    if isinstance(value, dict):
        return {_sane(name): _sane(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_sane(each) for each in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return max(min(value, 1 << 63), -(1 << 63))
    return value


def test_types_and_fields_that_we_do_not_know_are_passed_over() -> None:
    assert decode_request('{"type":"writing","channel":"post:1"}') is None
    assert decode_request('{"type":"ping","id":3,"mood":"good"}') == Ping(id=3)


def test_a_malformed_frame_s_id_comes_back_when_it_can_be_read() -> None:
    with pytest.raises(Malformed) as malformed:
        decode_request('{"type":"subscribe","id":3}')
    assert malformed.value.request_id == 3


def test_the_fifth_bad_frame_in_any_minute_ends_the_session_and_older_ones_are_forgotten() -> None:
    session = Session(Client([]), 0.0)
    for second in (0.0, 30.0, 40.0, 50.0, 61.0):
        with pytest.raises(Refused):
            session.receive("no json", second)
    with pytest.raises(Ended) as ended:
        session.receive("no json", 89.0)
    assert ended.value.code is Close.BAD_FRAMES


def test_twenty_messages_a_second_go_on_for_ever_and_more_do_not() -> None:
    session = Session(Client([]), 0.0)
    session.greeted = True
    for message in range(400):
        session.receive('{"type":"ping"}', message / 20)
    for message in range(78):
        session.receive('{"type":"ping"}', 20 + message / 40)
    with pytest.raises(Ended) as ended:
        session.receive('{"type":"ping"}', 20 + 78 / 40)
    assert ended.value.code is Close.FLOOD


@pytest.mark.parametrize(
    "channel",
    [
        *("", "post", "post:", "post:x", "post:-1", "post:01", "shelf:1", "topic:", "t" * 200),
        *("topic:-", "topic:_-_", f"topic:{'ﷺ' * 6}"),  # what folds to nothing, and to more than a slug may have
    ],
)
def test_a_channel_that_can_t_be_is_refused_by_name(channel: str) -> None:
    with pytest.raises(Refused) as refused:
        Session(Client([]), 0.0).check_asked((Asked(channel),), 3, 1)
    assert (refused.value.code, refused.value.channel) == ("unknown_channel", channel[:120])


@pytest.mark.parametrize(
    ("spelling", "slug"),
    [("Self-Compassion", "selfcompassion"), ("Straße", "strasse"), ("cafe\u0301", "café"), ("ｂｒｅａｄ", "bread")],
)
def test_a_topic_s_channel_has_one_spelling_and_the_refusal_names_it(spelling: str, slug: str) -> None:
    session = Session(Client([]), 0.0)
    with pytest.raises(Refused, match=f": topic:{slug}$") as refused:
        session.check_asked((Asked(f"topic:{slug}"), Asked(f"topic:{spelling}")), 3, 1)
    assert (refused.value.code, refused.value.channel) == ("unfolded_channel", f"topic:{spelling}")


def test_a_channel_asked_for_twice_in_one_request_counts_once_with_its_last_since() -> None:
    since = Since(epoch=7, seq=(5,))
    request = Subscribe(channels=(Asked("post:1"), Asked("post:2"), Asked("post:1", since)))
    assert asked_of(request) == (Asked("post:1", since), Asked("post:2"))
