"""What a member did, as one of their tabs knows it: reactions and memberships, from pages and from their own events.

Neither has a version: a page counts unless a later event was heard, an event counts unless it is older than the page.
"""

from typing import Any

Json = dict[str, Any]


class Mine:
    """Reactions by entity and memberships by topic; nothing known: no key."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._read: dict[str, Json] = {}
        self._heard: dict[str, tuple[int, int, int]] = {}

    def page(self, entities: list[Json], as_of: Json) -> None:
        """These were read."""
        for entity in entities:
            if "joined" in entity:
                self._take_read(entity["slug"], entity["joined"], as_of)
            elif entity.get("mine") is not None:
                self._take_read(entity["id"], entity["mine"]["reaction"], as_of)

    def event(self, event: Json, epoch: int, log: int, seq: int) -> None:
        """An event of the member's inbox channel, applied in its order."""
        if event["type"] == "mine.changed":
            self._take_heard(event["comment_id"] or event["post_id"], event["reaction"], epoch, log, seq)
        elif event["type"] == "membership.changed":
            self._take_heard(event["topic"], event["joined"], epoch, log, seq)

    def _take_read(self, name: str, value: Any, as_of: Json) -> None:
        epoch, log, seq = self._heard.get(name, (0, 0, 0))
        if epoch == as_of["epoch"] and seq > as_of["seq"][log]:
            return
        self.state[name], self._read[name] = value, as_of

    def _take_heard(self, name: str, value: Any, epoch: int, log: int, seq: int) -> None:
        read = self._read.get(name)
        if read is not None and read["epoch"] == epoch and seq <= read["seq"][log]:
            return
        self.state[name], self._heard[name] = value, (epoch, log, seq)
