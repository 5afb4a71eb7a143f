"""A page in a test: the state a client holds, fetched once and then moved by events alone.

The rules are those of the protocol: an entity's version guards its own fields, `counts.version` the counts; a repeat
or an older value changes nothing.
"""

from typing import Any

Json = dict[str, Any]


class Page:
    """One topic's header, its posts, one post's comments, and what the reader did; keyed by id."""

    def __init__(self, topic: Json, posts: list[Json], comments: list[Json]) -> None:
        self.topic = _bare(topic)
        self.posts = {post["id"]: _bare(post) for post in posts}
        self.comments = {comment["id"]: _bare(comment) for comment in comments}
        self.reactions: dict[str, str | None] = {}
        self.joined = topic.get("joined", False)
        for entity in [*posts, *comments]:
            self.reactions[entity["id"]] = (entity.get("mine") or {}).get("reaction")

    def fold(self, event: Json) -> None:
        """What the event says becomes true here. Types that concern other views change nothing."""
        kind = event["type"]
        if kind in ("post.created", "post.edited"):
            _put(self.posts, event["post"])
            self._leave_topic(event["post"])
        elif kind in ("comment.created", "comment.edited"):
            _put(self.comments, event["comment"])
        elif kind == "post.deleted":
            self.posts.pop(event["post_id"], None)
            self.comments = {key: held for key, held in self.comments.items() if held["post_id"] != event["post_id"]}
        elif kind == "comment.deleted":
            self._delete_comment(event)
        elif kind == "counts.changed":
            held = (
                self.comments.get(event["comment_id"]) if event.get("comment_id") else self.posts.get(event["post_id"])
            )
            if held is not None and event["counts"]["version"] > held["counts"]["version"]:
                held["counts"] = event["counts"]
        elif kind == "topic.changed":
            if event["topic"]["slug"] == self.topic["slug"] and event["topic"]["version"] > self.topic["version"]:
                self.topic = _bare(event["topic"])
        elif kind == "mine.changed":
            self.reactions[event["comment_id"] or event["post_id"]] = event["reaction"]
        elif kind == "membership.changed" and event["topic"] == self.topic["slug"]:
            self.joined = event["joined"]

    def _leave_topic(self, post: Json) -> None:
        if self.topic["slug"] not in post["topics"]:
            self.posts.pop(post["id"], None)

    def _delete_comment(self, event: Json) -> None:
        held = self.comments.get(event["comment_id"])
        if held is not None and event["version"] > held["version"]:
            held.update(body="", entities=[], deleted=True, version=event["version"])

    def compared(self) -> Json:
        """Everything that must be equal between a folded and a fetched page."""
        return {
            "topic": self.topic,
            "posts": self.posts,
            "comments": {key: _without_edit_time(value) for key, value in self.comments.items()},
            "reactions": {key: value for key, value in self.reactions.items() if value is not None},
            "joined": self.joined,
        }


def _bare(entity: Json) -> Json:
    return {name: value for name, value in entity.items() if name not in ("mine", "joined", "as_of")}


def _without_edit_time(comment: Json) -> Json:
    # A deletion's event carries ids and version only; when it happened is nothing a page shows.
    return {**comment, "edited_at": None} if comment["deleted"] else comment


def _put(held: dict[str, Json], entity: Json) -> None:
    before = held.get(entity["id"])
    if before is None:
        held[entity["id"]] = _bare(entity)
        return
    if entity["version"] > before["version"]:
        counts = max(before["counts"], entity["counts"], key=lambda counts: counts["version"])
        held[entity["id"]] = {**_bare(entity), "counts": counts}
