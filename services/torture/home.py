"""`home`: one subscription that stands for many channels, each with a chain of its own.

What was added is complete from `as_of` on; coming back asks from the lowest position held, and drops what it has.
"""

from typing import Any

from services.torture.chain import Chain, Does
from services.torture.fold import View
from services.torture.lives import Life
from services.torture.pages import Page

Json = dict[str, Any]
NAME = "home"


class Home:
    """A member's home on one client. `lives` are those that go on; `ended` those that do not."""

    def __init__(self, who: str) -> None:
        self.chains: dict[str, Chain] = {}
        self.lives: dict[str, Life] = {}
        self.ended: list[Life] = []
        self.views: dict[str, View] = {}
        """What it shows of each channel, once that was read."""
        self._heard: dict[str, list[Json]] = {}
        self.state = "ended"
        self._who = who
        self._request: int | None = None

    @property
    def since(self) -> Json | None:
        """The lowest position held on each log, or None."""
        held = [chain.since for chain in self.chains.values() if chain.since is not None]
        if not held:
            return None
        return {
            "epoch": held[0]["epoch"],
            "seq": [min(column) for column in zip(*(s["seq"] for s in held), strict=True)],
        }

    @property
    def epoch(self) -> int | None:
        """The epoch of what it holds, if it holds anything."""
        return next((life.epoch for life in self.lives.values()), None)

    def unread(self) -> list[tuple[str, Life]]:
        """The channels that were added since this was asked last: somebody has to read their pages."""
        fresh = [(channel, life) for channel, life in self.lives.items() if channel not in self._heard]
        self._heard |= {channel: [] for channel, _ in fresh}
        return fresh

    def read(self, channel: str, life: Life, page: Page) -> bool:
        """The page of a channel of that life; what came meanwhile is folded in. False: of another epoch, read again."""
        if self.lives.get(channel) is not life or page.view is None:
            return True
        if page.as_of["epoch"] != life.epoch:
            return False
        for frame in self._heard[channel]:
            if frame["seq"] > page.as_of["seq"][frame["log"]]:
                page.view.fold(frame["event"])
        self.views[channel] = page.view
        return True

    def apply(self, frame: Json) -> None:
        """An event that the proof rule let through is shown, or kept until there is a page to show it on."""
        if (view := self.views.get(frame["channel"])) is not None:
            view.fold(frame["event"])
        else:
            self._heard.setdefault(frame["channel"], []).append(frame)

    def asked(self, request: int | None) -> Json:
        """A subscribe with this id goes out: how it asks."""
        since = self.since
        self.state, self._request = "pending", request
        for chain in self.chains.values():
            chain.asked(request, chain.since)
        return {"channel": NAME} if since is None else {"channel": NAME, "since": since}

    def take(self, frame: Json) -> Does:
        """What the receiver has to do."""
        kind = frame["type"]
        if kind == "mark":
            for chain in self.chains.values():
                chain.take(frame)
            return "mark"
        if kind == "event":
            known = self.chains.get(frame["channel"])
            return "ignore" if known is None else known.take(frame)
        if frame.get("channel", NAME) != NAME:
            return "ignore"  # of a channel that was left a moment ago
        if kind == "subscribed" and frame.get("id") == self._request:
            self._listed(frame["channels"], frame["as_of"])
            return "live"
        if kind == "home.changed":
            self._add(frame["added"], frame["as_of"])
            self._remove(frame["removed"])
        if kind == "reset":
            self._remove(list(self.chains))
            self.state = "ended"
            return "reset"
        return "ignore"

    def _listed(self, channels: list[str], as_of: Json) -> None:
        self._remove([channel for channel in self.chains if channel not in channels])
        for chain in self.chains.values():
            chain.confirmed(as_of)
        self._add(channels, as_of)
        self.state = "live"

    def _add(self, channels: list[str], as_of: Json) -> None:
        for channel in channels:
            if channel not in self.chains:
                self.chains[channel] = Chain(channel)
                self.chains[channel].confirmed(as_of)
                self.lives[channel] = Life(self._who, channel, as_of)

    def _remove(self, channels: list[str]) -> None:
        for channel in channels:
            chain = self.chains.pop(channel, None)
            if chain is not None:
                life = self.lives.pop(channel)
                self.views.pop(channel, None)
                self._heard.pop(channel, None)
                life.end = list(chain.mine or life.start)
                self.ended.append(life)
