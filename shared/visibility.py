"""Who may see what: pure predicates, used by HTTP, the live gateway and the notifier alike."""

from typing import Literal

import msgspec

from shared.ids import parse_id
from shared.slugs import SLUG_MAX

ChannelKind = Literal["topic", "post", "member", "inbox", "home"]


class Channel(msgspec.Struct, frozen=True):
    """A named audience: `topic:{slug}`, `post:{id}`, `member:{id}`, `inbox:{id}`, or `home`."""

    kind: ChannelKind
    name: str

    def __str__(self) -> str:
        return self.kind if self.kind == "home" else f"{self.kind}:{self.name}"


def parse_channel(text: str) -> Channel | None:
    """The channel that `text` names, or None when it can name none."""
    if text == "home":
        return Channel("home", "")
    kind, colon, name = text.partition(":")
    if not colon or not name or len(name) > SLUG_MAX:
        return None
    if kind == "topic":
        return Channel("topic", name)
    if kind in ("post", "member", "inbox") and parse_id(name) is not None:
        return Channel(kind, name)  # type: ignore[arg-type]
    return None


def may_subscribe(account_id: int | None, channel: Channel) -> bool:
    """Whether a member (None: a guest) may follow `channel`: public ones anybody, inboxes and homes their owner."""
    if channel.kind == "inbox":
        return account_id is not None and channel.name == str(account_id)
    if channel.kind == "home":
        return account_id is not None
    return True


def may_change(account_id: int, author_id: int) -> bool:
    """Whether a member may edit or delete what `author_id` wrote."""
    return account_id == author_id
