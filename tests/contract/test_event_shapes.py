"""Golden events: what stands in logs of earlier releases must stay readable, and what we write must not drift.

A change here is a change of the contract: run `python -m tests.contract.test_event_shapes`, read the diff.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import events as e
from shared import wire as w

GOLDEN = Path(__file__).with_name("events.json")
AT = datetime(2026, 11, 23, 9, 30, 0, 123_000, tzinfo=UTC)
ADA = w.Author(id="11", handle="ada", display_name="Ada")
POST = w.Post(
    id="100",
    kind="post",
    author=ADA,
    title=None,
    body="A walk #sleep 🙂",
    entities=[w.Entity(type="tag", start=7, end=13, slug="sleep")],
    topics=["sleep"],
    media=[
        w.Media(
            id="300",
            alt="a lake",
            width=800,
            height=600,
            urls=w.MediaUrls(small="/media/s", medium="/media/m", full="/media/f"),
        )
    ],
    content_warning=None,
    counts=w.Counts(reactions={"hug": 2}, reaction_total=2, comments=1, version=3),
    version=1,
    created_at=AT,
    edited_at=None,
)
COMMENT = w.Comment(
    id="200",
    post_id="100",
    parent=None,
    author=ADA,
    body="Yes.",
    entities=[],
    counts=w.CommentCounts(reactions={}, reaction_total=0, replies=0, version=0),
    version=1,
    created_at=AT,
    edited_at=None,
    deleted=False,
)
TOPIC = w.Topic(slug="sleep", name="sleep", tag="Sleep", description=None, people=1800, stories=0, posts=9, version=12)
LINE = w.Notification(id="400", kind="comment", actor=ADA, post_id="100", comment_id="200", created_at=AT, read=False)
EVENTS: list[e.Event] = [
    e.PostCreated(post=POST),
    e.PostEdited(post=POST),
    e.PostDeleted(post_id="100", version=2),
    e.CommentCreated(comment=COMMENT),
    e.CommentEdited(comment=COMMENT),
    e.CommentDeleted(comment_id="200", post_id="100", version=2),
    e.CountsChanged(post_id="100", counts=POST.counts),
    e.CountsChanged(post_id="100", comment_id="200", counts=COMMENT.counts),
    e.TopicChanged(topic=TOPIC),
    e.TopicReloaded(slug="sleep"),
    e.MineChanged(account_id="11", post_id="100", comment_id=None, reaction="hug"),
    e.MembershipChanged(account_id="11", topic="sleep", joined=True),
    e.StoryChanged(account_id="11", story_id="600", post_id=None, state="returned", version=3, actor_id="12"),
    e.SessionRevoked(account_id="11", session_id="500"),
    e.NotificationChanged(notification=LINE, unread=3),
    e.NotificationRemoved(ids=["400"], unread=2),
    e.InboxRead(up_to="400", unread=0),
    e.InboxTouched(kind="comment"),
]


def shapes() -> list[dict[str, Any]]:
    """Each event as the log keeps it."""
    return [{"type": each.type, "payload": msgspec.json.decode(e.encode_payload(each))} for each in EVENTS]


def golden() -> list[dict[str, Any]]:
    """What was agreed on."""
    found: list[dict[str, Any]] = msgspec.json.decode(GOLDEN.read_bytes())
    return found


def test_every_kind_of_event_has_a_golden_shape() -> None:
    assert {shape["type"] for shape in golden()} == set(e.KINDS)


def test_events_are_written_as_agreed() -> None:
    assert shapes() == golden()


@pytest.mark.parametrize("shape", golden() if GOLDEN.exists() else [], ids=lambda shape: shape["type"])
def test_events_are_read_as_agreed_also_with_fields_of_a_later_release(shape: dict[str, Any]) -> None:
    plain = e.decode_payload(shape["type"], msgspec.json.encode(shape["payload"]))
    later = e.decode_payload(shape["type"], msgspec.json.encode({**shape["payload"], "of_a_later_release": [1]}))
    assert plain is not None
    assert plain == later
    assert msgspec.json.decode(e.encode_payload(plain)) == shape["payload"]


def test_an_unknown_type_is_no_error() -> None:
    assert e.decode_payload("post.exploded", b"{}") is None


if __name__ == "__main__":
    GOLDEN.write_bytes(msgspec.json.format(msgspec.json.encode(shapes()), indent=1) + b"\n")
