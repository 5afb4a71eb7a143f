"""Single lives on the hub that random ones meet too seldom. The client checks every frame."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest

from services.notify.live import pieces as pieces_module
from services.notify.live.codes import Close
from services.notify.live.home import Home, Homes
from services.notify.live.hub import Hub
from services.notify.live.recovery import Recovery
from services.notify.live.ring import Ring
from services.notify.live.session import Session, Subscription
from shared.auth import Principal
from shared.eventlog.entries import Entry
from shared.postgres import Pool
from tests.live_client import Proof
from tests.notify.live.judge import EPOCH, Client


class NoPast:
    """There is nothing but the ring."""

    def reach(self, number: int) -> int:
        return 1 << 60

    def extend(self, number: int, after: int, done: Callable[[bool], None]) -> None:
        raise AssertionError("asked for the past")

    def confirm(self, number: int, seq: int, done: Callable[[bool], None]) -> None:
        done(True)


class Stage:
    """One log, one client."""

    def __init__(self, capacity: int = 100, slack: int = 0) -> None:
        self.truth: list[list[Entry]] = [[]]
        self.hub = Hub(EPOCH, [Ring(0, capacity, 0, slack)])
        self.recovery = Recovery(self.hub, NoPast())
        self.hub.on_behind = self.recovery.resume
        self.client = Client(self.truth)
        self.session = Session(self.client, 0.0)
        self.hub.enter(self.session)

    def write(self, kind: str, channel: str, times: int = 1, *, second: int = 0) -> None:
        for _ in range(times):
            seq = len(self.truth[0]) + 1
            at = f"2026-11-23T00:00:{second:02}.000Z"
            entry = Entry(seq, seq, kind, at, (channel,), b'{"post_id":"1"}')
            self.truth[0].append(entry)
            self.hub.take(0, [entry])

    def subscribe(self, subscription: Subscription) -> None:
        proof = self.client.proofs[subscription.name] = Proof(subscription.name)
        since = None if subscription.since is None else list(subscription.since)
        proof.ask(subscription.request_id, None if since is None else {"epoch": EPOCH, "seq": since})
        self.client.folds[subscription.name] = {}
        self.recovery.start(self.session, subscription)

    def recover(self) -> None:
        while self.recovery.step():
            pass

    def seen(self, channel: str) -> list[int]:
        return [place[1] for place in self.client.folds[channel] if isinstance(place[0], int)]


async def test_a_chain_goes_on_from_what_was_sent_when_the_ring_has_let_go_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pieces_module, "PICKS", 1)
    stage = Stage(capacity=4)
    stage.write("x", "topic:a", 4)
    stage.subscribe(Subscription("topic:a", 1, (0,)))
    assert stage.seen("topic:a") == [1]
    stage.write("x", "topic:a")  # the ring drops 1
    stage.recover()
    assert stage.seen("topic:a") == [1, 2, 3, 4, 5]
    assert stage.client.proofs["topic:a"].state == "live"


async def test_a_channel_stays_while_home_or_the_channel_itself_still_covers_it() -> None:
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    home = Home(2, None)
    home.channels, home.waiting, home.loaded = ("topic:a", "topic:b"), False, [0]
    stage.recovery.start(stage.session, home)
    stage.hub.drop(stage.session, home)
    assert set(stage.hub.channels) == {"topic:a"}
    stage.write("x", "topic:a")
    await stage.hub.round()
    assert stage.seen("topic:a") == [1]
    stage.hub.drop(stage.session, stage.session.subscriptions["topic:a"])
    assert not stage.hub.channels


async def test_home_that_begins_its_replay_again_begins_its_chains_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "PICKS", 1)
    stage = Stage()
    Homes(cast(Pool, None), stage.hub, stage.recovery)
    stage.session.signed_in(
        Principal(account_id=5, session_id=9, expires_at=datetime(2030, 1, 1, tzinfo=UTC), kind="ticket")
    )
    stage.hub.enter(stage.session)
    stage.write("x", "topic:a", 4)
    home = Home(1, (0,))
    home.channels, home.waiting, home.loaded = ("topic:a",), False, [0]
    stage.recovery.start(stage.session, home)
    assert home.written == {("topic:a", 0): 1}
    payload = msgspec.json.encode({"account_id": "5", "topic": "b", "joined": True})
    stage.truth[0].append(Entry(5, 5, "membership.changed", "2026-11-23T00:00:00.000Z", ("inbox:5",), payload))
    stage.hub.take(0, stage.truth[0][4:])
    stage.recover()
    assert home.live
    links = [(f["prev"], f["seq"]) for f in stage.client.frames if f.get("channel") == "topic:a"]
    assert links == [(0, 1), (0, 1), (1, 2), (2, 3), (3, 4)]


async def test_news_of_a_member_that_cannot_be_is_nobodys() -> None:
    stage = Stage()
    Homes(cast(Pool, None), stage.hub, stage.recovery)
    for kind, rest in (
        ("session.revoked", {"session_id": "9"}),
        ("membership.changed", {"topic": "b", "joined": True}),
    ):
        seq = stage.hub.rings[0].end + 1
        payload = msgspec.json.encode({"account_id": "²", **rest})
        stage.hub.take(0, [Entry(seq, seq, kind, "2026-11-23T00:00:00.000Z", (), payload)])
    assert stage.hub.position() == [2]


async def test_a_session_that_is_behind_meets_a_reload_in_its_place() -> None:
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    stage.client.paused = True
    stage.write("x", "topic:a", 2)
    await stage.hub.round()
    assert stage.session.behind == [0]
    stage.write("topic.reloaded", "topic:a")
    stage.write("x", "topic:a")
    await stage.hub.round()
    stage.client.paused = False
    stage.recovery.resume(stage.session)
    stage.recover()
    assert stage.seen("topic:a") == [1, 2]
    assert stage.client.proofs["topic:a"].state == "ended"
    assert not stage.hub.channels


async def test_a_session_that_is_behind_hears_no_mark() -> None:
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    stage.client.paused = True
    stage.write("x", "topic:a")
    await stage.hub.round()
    stage.client.paused = False  # drained, and not caught up yet
    stage.write("x", "topic:b")
    stage.hub.want_marks()
    await stage.hub.round()
    assert stage.client.proofs["topic:a"].mine == [0]
    stage.recovery.resume(stage.session)
    stage.recover()
    assert stage.client.proofs["topic:a"].mine == [1]


async def test_a_parcel_too_large_for_what_is_left_is_caught_up_in_pieces_each_event_once() -> None:
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    stage.client.clogged, stage.client.share = True, 700
    stage.write("x", "topic:a", 20)
    await stage.hub.round()
    assert stage.session.behind == [0]
    stage.recover()
    assert stage.session.behind is None
    assert stage.seen("topic:a") == [*range(1, 21)]
    assert [f["seq"] for f in stage.client.frames if f["type"] == "event"] == [*range(1, 21)]


async def test_what_comes_in_right_after_joining_is_not_missed() -> None:
    stage = Stage()
    stage.write("x", "topic:a", 2)
    stage.subscribe(Subscription("topic:a", 1, (0,)))
    stage.write("x", "topic:a")
    await asyncio.sleep(0)
    await stage.hub.round()
    assert stage.seen("topic:a") == [1, 2, 3]


async def test_joining_in_the_middle_of_a_round_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notify.live.hub.SLICE", 1)
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    stage.write("x", "topic:a")
    under_way = stage.hub.round()
    under_way.send(None)
    stage.subscribe(Subscription("topic:b", 2, None))
    stage.write("x", "topic:b")
    with pytest.raises(StopIteration):
        under_way.send(None)
    await stage.hub.round()
    assert stage.seen("topic:b") == [2]


async def test_words_that_are_removed_before_the_round_are_not_written() -> None:
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    stage.write("x", "topic:a", 3)
    at = "2026-11-23T00:00:00.000Z"
    stage.truth[0].append(Entry(4, 4, "log.redacted", at, (), b'{"seq":2}'))
    stage.hub.take(0, stage.truth[0][3:])
    await stage.hub.round()
    told = [(f["seq"], f["event"]["type"]) for f in stage.client.frames if f["type"] == "event"]
    assert told == [(1, "x"), (2, "redacted"), (3, "x")]


async def test_words_that_are_removed_after_a_reload_and_before_the_round_are_not_written() -> None:
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    stage.write("x", "topic:a", 3)
    at = "2026-11-23T00:00:00.000Z"
    stage.truth[0].append(Entry(4, 4, "topic.reloaded", at, ("topic:a",), b'{"slug":"a"}'))
    stage.truth[0].append(Entry(5, 5, "log.redacted", at, (), b'{"seq":2}'))
    stage.hub.take(0, stage.truth[0][3:])
    await stage.hub.round()
    told = [(f["seq"], f["event"]["type"]) for f in stage.client.frames if f["type"] == "event"]
    assert told == [(1, "x"), (2, "redacted"), (3, "x")]
    assert [f["reason"] for f in stage.client.frames if f["type"] == "reset"] == ["reloaded"]


async def test_a_revocation_finds_the_session_by_its_member() -> None:
    stage = Stage()
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    stage.session.signed_in(Principal(account_id=5, session_id=9, expires_at=expires, kind="ticket"))
    stage.hub.enter(stage.session)
    for session_id, code in (("8", None), ("9", Close.REVOKED)):
        payload = msgspec.json.encode({"account_id": "5", "session_id": session_id})
        seq = stage.hub.rings[0].end + 1
        stage.hub.take(0, [Entry(seq, seq, "session.revoked", "2026-11-23T00:00:00.000Z", ("inbox:5",), payload)])
        assert stage.client.ended is code
    stage.hub.exit(stage.session)
    assert not stage.hub.members


async def test_the_age_of_a_round_is_that_of_its_oldest_event_though_it_was_numbered_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ages: list[str] = []
    monkeypatch.setattr("services.notify.live.metrics.handed", ages.append)
    stage = Stage()
    stage.subscribe(Subscription("topic:a", 1, None))
    stage.write("x", "topic:a", second=5)
    stage.write("x", "topic:a", second=1)
    stage.write("x", "topic:a", second=6)
    await stage.hub.round()
    assert ages == ["2026-11-23T00:00:01.000Z"]
