"""A life: what one client applied on one channel, from the position it began at until it fetched again or left.

Kept until the oracle has compared it with the log itself: that is how a hole is found which two wrong folds would hide.
"""

from typing import Any, NamedTuple

Json = dict[str, Any]


class Applied(NamedTuple):
    """One event that the proof rule let through."""

    log: int
    seq: int
    event_id: str
    type: str


class Life:
    """Positions in (start, end] of `epoch` were followed; `end` None: still are, and `mine()` tells how far."""

    def __init__(self, who: str, channel: str, as_of: Json) -> None:
        self.who = who
        self.channel = channel
        self.epoch: int = as_of["epoch"]
        self.start: list[int] = list(as_of["seq"])
        self.end: list[int] | None = None
        self.applied: list[Applied] = []
        self.wrong: list[str] = []
        self._versions: dict[tuple[str, str], int] = {}
        self._ids: set[str] = set()

    def apply(self, frame: Json) -> None:
        """The event counts. Notes what can't be: an event twice, a version that does not grow."""
        event = frame["event"]
        self.applied.append(Applied(frame["log"], frame["seq"], event["id"], event["type"]))
        if event["id"] in self._ids:
            self.wrong.append(f"{self.who} {self.channel}: event {event['id']} was applied twice")
        self._ids.add(event["id"])
        for name, version in versions(event):
            if version <= self._versions.get(name, -1):
                self.wrong.append(
                    f"{self.who} {self.channel}: {name} went from {self._versions[name]} to {version} at {frame['seq']}"
                )
            self._versions[name] = version

    def checked(self, through: list[int]) -> None:
        """Everything up to there was compared: it need not be kept."""
        self.start = [max(pair) for pair in zip(self.start, through, strict=True)]
        self.applied = [one for one in self.applied if one.seq > self.start[one.log]]
        self._ids = {one.event_id for one in self.applied}


def versions(event: Json) -> list[tuple[tuple[str, str], int]]:
    """What the event makes a new version of, by kind and id, and which; notifications have none."""
    match event["type"]:
        case "post.created" | "post.edited":
            return [(("post", event["post"]["id"]), event["post"]["version"])]
        case "post.deleted":
            return [(("post", event["post_id"]), event["version"])]
        case "comment.created" | "comment.edited":
            return [(("comment", event["comment"]["id"]), event["comment"]["version"])]
        case "comment.deleted":
            return [(("comment", event["comment_id"]), event["version"])]
        case "counts.changed":
            return [(("counts", event.get("comment_id") or event["post_id"]), event["counts"]["version"])]
        case "topic.changed":
            return [(("topic", event["topic"]["slug"]), event["topic"]["version"])]
        case "notification.changed":
            return [(("notification", event["notification"]["id"]), 0)]
    return []
