"""The log held against what was committed: each change is in it once and in order, and read from its first entry it
shows every page and every inbox as they are."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from services.torture.fold import InboxView, MemberView, PostView, TopicView, View, difference
from services.torture.ledger import Row
from services.torture.lives import versions
from services.torture.truth import Truth

Json = dict[str, Any]
CREATED = ("post.created", "comment.created")
OPEN: Json = {"version": 0}


def events(rows: list[list[Row]]) -> list[Json]:
    """What frames would carry, log after log, each in order, with `channels`; without what nobody can read."""
    found = []
    for row in (row for entries in rows for row in entries):
        if row.payload.startswith(b'{"'):
            fields = msgspec.json.decode(row.payload)
            found.append({"type": row.type, "id": row.event_id, **fields, "channels": row.channels})
    return found


def published(truth: Truth, told: list[Json]) -> list[str]:
    """Commits without their event, events without a commit, and changes that are not told once, in their order."""
    wrong = _created(truth, told)
    held: dict[tuple[str, str], int] = {}
    for event in told:
        for name, version in versions(event):
            if name[0] != "notification" and version != held.get(name, version - 1) + 1:
                wrong.append(f"{name} goes from version {held[name]} to {version} in the log, at event {event['id']}")
            held[name] = version
    for kind, entities in (("post", truth.posts), ("comment", truth.comments)):
        for entity in entities.values():
            post = truth.posts[entity.post or entity.id]
            known = kind == "post" or not post.deleted  # whether a comment went before its post may be known to nobody
            if known and held.get((kind, entity.id)) != entity.version:
                last = held.get((kind, entity.id))
                wrong.append(f"{kind} {entity.id} is told up to version {last}, committed is {entity.version}")
    return wrong + _memberships(truth, told) + _reactions(truth, told)


def unlike(told: list[Json], pages: dict[str, View]) -> list[str]:
    """The pages that somebody would see otherwise who has followed their channels from the log's first entry."""
    views: dict[str, View] = {channel: _empty(page) for channel, page in pages.items()}
    for event in told:
        for channel in event["channels"] & views.keys():
            views[channel].fold(event)
    return [
        f"{channel}, read from the log's beginning: {found}"
        for channel, page in pages.items()
        if (found := difference(views[channel].shown(), page.shown()))
    ]


def _created(truth: Truth, told: list[Json]) -> list[str]:
    kinds = Counter((event["type"], _entity(event)) for event in told if event["type"] in CREATED)
    known = {(CREATED[0], made) for made in truth.posts} | {(CREATED[1], made) for made in truth.comments}
    wrong = [
        f"{kind} of {made} is in the log {kinds[kind, made]} times" for kind, made in known if kinds[kind, made] != 1
    ]
    return wrong + [f"{kind} of {made} is in the log, and nobody committed it" for kind, made in kinds.keys() - known]


def _memberships(truth: Truth, told: list[Json]) -> list[str]:
    """Each join and each departure is told, and told once: they alternate, and the last is what holds."""
    mine = [event for event in told if event["type"] == "membership.changed"]
    told_last, wrong = _alternating(((e["account_id"], e["topic"]), e["joined"], e["id"]) for e in mine)
    held = {(member, slug) for slug, members in truth.joined.items() for member in members}
    last = {who for who, joined in told_last.items() if joined}
    return wrong + [
        f"{who}: {'told, not' if who in last else 'not told, but'} committed to follow" for who in held ^ last
    ]


def _reactions(truth: Truth, told: list[Json]) -> list[str]:
    """The same of each member's reaction to each thing that stands."""
    mine = [event for event in told if event["type"] == "mine.changed"]
    last, wrong = _alternating(
        ((e["account_id"], e["comment_id"] or e["post_id"]), e["reaction"], e["id"]) for e in mine
    )
    for entity in [*truth.posts.values(), *truth.comments.values()]:
        if truth.stands(entity):
            of = {who: kind for (who, target), kind in last.items() if target == entity.id and kind is not None}
            if of != entity.reactions:
                wrong.append(f"reactions to {entity.id}: told are {of}, committed are {entity.reactions}")
    return wrong


def _alternating(told: Iterable[tuple[tuple[str, str], Any, str]]) -> tuple[dict[tuple[str, str], Any], list[str]]:
    """The last state of each, and the events that told what was so already."""
    last: dict[tuple[str, str], Any] = {}
    wrong = []
    for name, state, event_id in told:
        if (last.get(name) or None) == (state or None):
            wrong.append(f"event {event_id} tells {name} is {state}, which it was")
        last[name] = state
    return last, wrong


def _entity(event: Json) -> str:
    return str((event.get("post") or event["comment"])["id"])


def _empty(page: View) -> View:
    """As the page was before anything happened."""
    match page:
        case TopicView():
            return TopicView({**OPEN, "slug": page.header["slug"]}, [])
        case InboxView():
            return InboxView([], 0)
        case MemberView():
            return MemberView()
    return PostView(None, [])
