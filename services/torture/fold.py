"""What a client shows of one channel: fetched once, then moved by events alone.

An entity's version guards its own fields, `counts.version` its counts; a repeat or an older value changes nothing.
`shown` is what must equal a fresh read of the same channel.
"""

from typing import Any, Protocol

Json = dict[str, Any]


class View(Protocol):
    """One channel's state."""

    def fold(self, event: Json) -> None:
        """What the event says becomes true."""

    def shown(self) -> Json:
        """Everything that a page of it shows, the same for every reader."""


class TopicView:
    """A topic's header and its posts."""

    def __init__(self, header: Json, posts: list[Json]) -> None:
        self.header = bare(header)
        self.posts = {post["id"]: bare(post) for post in posts}

    def fold(self, event: Json) -> None:
        """See View."""
        match event["type"]:
            case "topic.changed" if event["topic"]["version"] > self.header["version"]:
                self.header = bare(event["topic"])
            case "post.created" | "post.edited":
                put(self.posts, event["post"])
                if self.header["slug"] not in event["post"]["topics"]:
                    self.posts.pop(event["post"]["id"], None)
            case "post.deleted":
                self.posts.pop(event["post_id"], None)
            case "counts.changed" if event.get("comment_id") is None:
                recount(self.posts.get(event["post_id"]), event["counts"])

    def shown(self) -> Json:
        """See View."""
        return {"header": self.header, **self.posts}


class PostView:
    """A post and its comments; both empty when it is gone."""

    def __init__(self, post: Json | None, comments: list[Json]) -> None:
        self.posts = {} if post is None else {post["id"]: bare(post)}
        self.comments = {comment["id"]: bare(comment) for comment in comments}

    def fold(self, event: Json) -> None:
        """See View."""
        match event["type"]:
            case "post.created" | "post.edited":
                put(self.posts, event["post"])
            case "post.deleted":
                self.posts, self.comments = {}, {}
            case "comment.created" | "comment.edited":
                put(self.comments, event["comment"])
            case "comment.deleted":
                clear(self.comments.get(event["comment_id"]), event["version"])
            case "counts.changed":
                of_comment = event.get("comment_id")
                held = self.comments.get(of_comment) if of_comment else self.posts.get(event["post_id"])
                recount(held, event["counts"])

    def shown(self) -> Json:
        """See View."""
        return {**self.posts, **without_times(self.comments)} if self.posts else {}


class MemberView:
    """What a member wrote since one follows them: there is no page of it, so it begins empty."""

    def __init__(self) -> None:
        self.posts: dict[str, Json] = {}
        self.comments: dict[str, Json] = {}

    def fold(self, event: Json) -> None:
        """See View."""
        match event["type"]:
            case "post.created" | "post.edited":
                put(self.posts, event["post"])
            case "post.deleted":
                self.posts.pop(event["post_id"], None)
            case "comment.created" | "comment.edited":
                put(self.comments, event["comment"])
            case "comment.deleted":
                clear(self.comments.get(event["comment_id"]), event["version"])
            case "counts.changed":
                held = {**self.posts, **self.comments}
                recount(held.get(event.get("comment_id") or event["post_id"]), event["counts"])

    def shown(self) -> Json:
        """See View."""
        return {**self.posts, **without_times(self.comments)}


class InboxView:
    """A member's notifications, and how many are unread."""

    def __init__(self, items: list[Json], unread: int) -> None:
        self.items = {item["id"]: dict(item) for item in items}
        self.unread = unread

    def fold(self, event: Json) -> None:
        """See View."""
        match event["type"]:
            case "notification.changed":
                self.items[event["notification"]["id"]] = dict(event["notification"])
            case "notification.removed":
                for gone in event["ids"]:
                    self.items.pop(gone, None)
            case "inbox.read":
                for item in self.items.values():
                    item["read"] = item["read"] or int(item["id"]) <= int(event["up_to"])
            case _:
                return
        self.unread = event["unread"]

    def shown(self) -> Json:
        """See View."""
        return {"unread": self.unread, **self.items}


def bare(entity: Json) -> Json:
    """Without what only its reader or its moment gives it."""
    return {name: value for name, value in entity.items() if name not in ("mine", "joined", "as_of")}


def put(held: dict[str, Json], entity: Json) -> None:
    """The entity is held; what is held already wins where it is newer."""
    before = held.get(entity["id"])
    if before is None:
        held[entity["id"]] = bare(entity)
    elif entity["version"] > before["version"]:
        counts = max(before["counts"], entity["counts"], key=_version)
        held[entity["id"]] = {**bare(entity), "counts": counts}


def recount(held: Json | None, counts: Json) -> None:
    """The counts are these, unless newer ones are held."""
    if held is not None and counts["version"] > held["counts"]["version"]:
        held["counts"] = counts


def clear(held: Json | None, version: int) -> None:
    """The comment has no words any more."""
    if held is not None and version > held["version"]:
        held.update(body="", entities=[], deleted=True, version=version)


def without_times(comments: dict[str, Json]) -> dict[str, Json]:
    """When a deletion happened is nothing that its event tells."""
    return {key: {**held, "edited_at": None} if held["deleted"] else held for key, held in comments.items()}


def difference(held: Json, read: Json) -> str:
    """Where two pages differ, in a line; empty when they don't."""
    lines = [f"only held: {key}" for key in held.keys() - read.keys()]
    lines += [f"only read: {key}" for key in read.keys() - held.keys()]
    for key in held.keys() & read.keys():
        if held[key] != read[key]:
            lines.append(f"{key}: held {_unlike(held[key], read[key])}, read {_unlike(read[key], held[key])}")
    return "; ".join(lines[:5])


def _unlike(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one
    return {name: value for name, value in one.items() if other.get(name) != value}


def _version(counts: Json) -> int:
    return int(counts["version"])
