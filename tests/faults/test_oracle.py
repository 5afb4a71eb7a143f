"""The oracle, its input broken on purpose: whatever is lost, comes twice, is stale or did not happen is reported."""

import asyncio
import random
from typing import Any

import msgspec
import pytest

from services.torture.book import Book
from services.torture.client import Client, Subscription
from services.torture.fold import InboxView, MemberView, PostView, TopicView, View, difference
from services.torture.http import Http
from services.torture.ledger import Heads, Row, by_channel, judge
from services.torture.oracle import _inbox_wrong, _thread_wrong, _topic_wrong
from services.torture.published import events, published, unlike
from services.torture.run import unproven
from services.torture.scene import Fault
from services.torture.truth import Truth

Json = dict[str, Any]
POST, CHANNEL = "10", "post:10"
AUTHOR: Json = {"id": "1", "handle": "anna", "display_name": "Anna"}
NOW = "2026-11-28T09:00:00.000Z"


def post(version: int = 1, body: str = "Rain again.") -> Json:
    counts: Json = {"reactions": {}, "reaction_total": 0, "comments": 0, "version": 1}
    made: Json = {"id": POST, "kind": "post", "author": AUTHOR, "title": None, "body": body, "entities": []}
    return {**made, "topics": ["tea"], "counts": counts, "version": version, "created_at": NOW, "edited_at": None}


def comment(number: int, version: int = 1, body: str = "Here too.") -> Json:
    counts: Json = {"reactions": {}, "reaction_total": 0, "replies": 0, "version": 1}
    made: Json = {"id": str(number), "post_id": POST, "parent": None, "author": AUTHOR, "body": body, "entities": []}
    return {**made, "counts": counts, "version": version, "created_at": NOW, "edited_at": None, "deleted": False}


def notification(number: int) -> Json:
    told: Json = {"id": str(number), "kind": "comment", "actor": AUTHOR, "post_id": POST, "comment_id": "20"}
    return {**told, "created_at": NOW, "read": False}


def counted(comments: int, version: int) -> Json:
    return {
        "post_id": POST,
        "comment_id": None,
        "counts": {**post()["counts"], "comments": comments, "version": version},
    }


LOG: list[tuple[str, set[str], Json]] = [
    ("post.created", {CHANNEL, "topic:tea", "member:1"}, {"post": post()}),
    ("topic.changed", {"topic:tea"}, {"topic": {"slug": "tea", "people": 0, "posts": 1, "stories": 0, "version": 1}}),
    ("comment.created", {CHANNEL, "member:1"}, {"comment": comment(20)}),
    ("counts.changed", {CHANNEL, "topic:tea", "member:1"}, counted(1, 2)),
    ("membership.changed", {"inbox:1"}, {"account_id": "1", "topic": "tea", "joined": True}),
    ("mine.changed", {"inbox:1"}, {"account_id": "1", "post_id": POST, "comment_id": None, "reaction": "hug"}),
    ("notification.changed", {"inbox:2"}, {"notification": notification(5), "unread": 1}),
    ("comment.edited", {CHANNEL, "member:1"}, {"comment": comment(20, 2, "Here as well.")}),
]
HEADS = Heads(7, (len(LOG),))


def log(*, without: int | None = None, twice: int | None = None) -> list[list[Row]]:
    """The log; with one entry left out, or one told again at its end."""
    said = [entry for number, entry in enumerate(LOG) if number != without]
    said += [LOG[twice]] if twice is not None else []
    rows = [
        Row(seq, str(100 + seq), kind, frozenset(channels), msgspec.json.encode(fields))
        for seq, (kind, channels, fields) in enumerate(said, 1)
    ]
    return [rows]


def truth() -> Truth:
    known = Truth()
    known.take_post(post())
    known.take_comment(comment(20))
    known.take_edit(comment(20, 2, "Here as well."))
    known.take_membership("tea", "1", True)
    known.take_reaction(POST, "1", "hug")
    return known


def pages() -> dict[str, View]:
    """Fresh reads, after all of it."""
    counts = counted(1, 2)["counts"]
    return {
        CHANNEL: PostView({**post(), "counts": counts}, [comment(20, 2, "Here as well.")]),
        "topic:tea": TopicView(LOG[1][2]["topic"], [{**post(), "counts": counts}]),
        "inbox:2": InboxView([notification(5)], 1),
    }


def frames(*places: int) -> list[Json]:
    """Of the post's channel: its entries at these places, as a server sends them that sends all."""
    sent, prev = [], 0
    for row in log()[0]:
        if CHANNEL in row.channels:
            event = {"type": row.type, "id": row.event_id, "at": NOW, **msgspec.json.decode(row.payload)}
            sent.append({"type": "event", "channel": CHANNEL, "log": 0, "prev": prev, "seq": row.seq, "event": event})
            prev = row.seq
    return [sent[place] for place in places]


async def follower(*heard: Json) -> Client:
    """A client that follows the post from the log's beginning, is live, and was sent these frames."""
    nobody = Http("127.0.0.1", 9)
    client = Client("a client", lambda: "", nobody, nobody, None, "seed", Book())
    subscription = Subscription(client.name, CHANNEL, PostView(None, []), {"epoch": 7, "seq": [0]})
    subscription.chain.asked(1, {"epoch": 7, "seq": [0]})
    subscription.chain.confirmed({"epoch": 7, "seq": [0]})
    client.subscriptions[CHANNEL] = subscription
    for frame in heard:
        await client._judge(frame)
    return client


def judged(client: Client) -> str:
    """What the oracle says of all that the client has lived through."""
    [life] = client.lives
    return judge(life, by_channel(log()), HEADS)


def shown(client: Client) -> str:
    return difference(client.subscriptions[CHANNEL].view.shown(), pages()[CHANNEL].shown())


async def test_who_was_sent_everything_is_right() -> None:
    client = await follower(*frames(0, 1, 2, 3))
    assert (judged(client), shown(client), client.book.wrong) == ("", "", [])


async def test_a_frame_that_was_dropped_is_a_gap_which_no_server_may_leave_and_is_never_shown_as_whole() -> None:
    client = await follower(*frames(0, 2, 3))
    [wrong] = client.book.wrong
    assert "a gap on a live connection" in wrong
    assert not client.live


@pytest.mark.parametrize(
    ("code", "stood", "proxied", "wrong"),
    [
        (4000, False, False, False),
        (4002, False, False, True),
        (4002, True, False, False),
        (4002, False, True, False),
        (4004, True, True, True),
        (4007, True, True, True),
        (4503, True, True, True),
    ],
)
async def test_a_close_that_a_reader_does_not_deserve_is_seen(
    code: int, stood: bool, proxied: bool, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await follower()
    client.line.stood, client.proxied = stood, proxied
    codes = iter([code])

    async def once(_: object) -> int:
        for each in codes:
            return each
        raise asyncio.CancelledError

    monkeypatch.setattr(client.line, "once", once)
    with pytest.raises(asyncio.CancelledError):
        await client.run()
    assert client.book.wrong == ([f"a client was closed with {code}"] if wrong else [])


async def test_a_frame_that_was_dropped_behind_a_lie_about_it_is_seen_twice() -> None:
    first, _, third, fourth = frames(0, 1, 2, 3)
    client = await follower(first, {**third, "prev": first["seq"]}, fourth)
    assert client.book.wrong == [], "the lie was believed"
    assert "missed 3 comment.created" in judged(client)
    assert shown(client) == "", "the edit has brought the comment: the fold alone would have seen nothing"
    client = await follower(first, {**third, "prev": first["seq"]})
    assert "only read: 20" in shown(client)


async def test_a_frame_twice_is_dropped_and_with_another_position_it_is_seen() -> None:
    *before, last = frames(0, 1, 2, 3)
    client = await follower(*before, last, last)
    assert (judged(client), client.book.wrong) == ("", [])
    client = await follower(*before, last, {**last, "prev": last["seq"], "seq": last["seq"] + 1})
    assert any("was applied twice" in line for line in client.book.wrong)
    assert any("went from 2 to 2" in line for line in client.book.wrong)


async def test_a_link_that_goes_nowhere_is_seen() -> None:
    *before, last = frames(0, 1)
    client = await follower(*before, {**last, "prev": last["seq"]})
    assert any("goes nowhere" in line for line in client.book.wrong)


async def test_a_fold_that_is_stale_is_seen() -> None:
    client = await follower(*frames(0, 1, 2, 3))
    view = client.subscriptions[CHANNEL].view
    assert isinstance(view, PostView)
    view.comments["20"]["body"] = "Here too."
    assert "20: held {'body': 'Here too.'}" in shown(client)


def test_pages_that_are_not_what_was_committed_are_seen() -> None:
    known, read = truth(), pages()
    topic, thread = read["topic:tea"], read[CHANNEL]
    assert isinstance(topic, TopicView)
    assert isinstance(thread, PostView)
    known.entity("20").version += 1
    known.take_reaction("20", "3", "joy")
    assert (
        len(_thread_wrong(known, POST, thread)) == 3
    )  # its version, its reactions, and the post's, which are not told
    known.take_membership("tea", "2", True)
    assert any("people" in line for line in _topic_wrong(known, topic))


def test_a_notification_twice_too_few_or_too_many_is_seen() -> None:
    cause = (False, "1", POST, "20")
    assert _inbox_wrong({cause: {"comment"}}, InboxView([notification(5)], 1)) == []
    twice = _inbox_wrong({cause: {"comment"}}, InboxView([notification(5), notification(6)], 2))
    assert len(twice) == 1
    assert "not due (again)" in twice[0]
    assert "lacks" in _inbox_wrong({cause: {"comment"}}, InboxView([], 0))[0]
    assert "not due" in _inbox_wrong({}, InboxView([notification(5)], 1))[0]


def test_the_whole_log_is_right() -> None:
    told = events(log())
    assert published(truth(), told) == []
    assert unlike(told, pages()) == []


@pytest.mark.parametrize("place", range(len(LOG)), ids=[kind for kind, _, _ in LOG])
def test_a_commit_without_its_event_is_seen(place: int) -> None:
    told = events(log(without=place))
    assert published(truth(), told) + unlike(told, pages())


@pytest.mark.parametrize("place", [n for n, entry in enumerate(LOG) if entry[0] != "notification.changed"])
def test_an_event_that_is_told_twice_is_seen(place: int) -> None:
    assert published(truth(), events(log(twice=place)))


def test_events_that_tell_other_pages_than_there_are_are_seen() -> None:
    told = events(log())
    for channel in pages():
        read = pages()
        page = read[channel]
        if isinstance(page, InboxView):
            page.unread = 7
        elif isinstance(page, TopicView):
            page.header["people"] = 9
        elif isinstance(page, PostView):
            page.comments["20"]["body"] = "Something else."
        assert [line for line in unlike(told, read) if line.startswith(channel)]


def test_a_member_is_followed_through_edits_counts_and_deletions() -> None:
    view = MemberView()
    for event in events(log()):
        if "member:1" in event["channels"]:
            view.fold(event)
    assert view.shown() == pages()[CHANNEL].shown()
    view.fold({"type": "comment.deleted", "comment_id": "20", "post_id": POST, "version": 3})
    assert view.shown()["20"]["deleted"]
    view.fold({"type": "post.deleted", "post_id": POST, "version": 2})
    assert POST not in view.shown()


class Idle(Fault):
    """Says by itself whether it fired: it touches nothing."""

    name, family, touches = "idle", "none", frozenset({"nothing"})


@pytest.mark.parametrize(("evidence", "told", "found"), [("", "", "no evidence"), ("it fired", "broken", "broken")])
def test_a_fault_that_did_not_fire_or_broke_is_refused(evidence: str, told: str, found: str) -> None:
    fault = Idle(None, random.Random(0))  # type: ignore[arg-type] # it has nothing to happen to
    fault.evidence = evidence
    assert found in unproven(fault, told, 3)
    fault.evidence = "it fired"
    assert unproven(fault, "", 3) == ""
