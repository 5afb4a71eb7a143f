"""Fresh reads: a channel's page over HTTP, whole, with the position to subscribe from.

A page of many parts is as old as its first part: what comes after that position comes as events, again if need be.
"""

import random
from typing import Any

import msgspec

from services.torture.fold import InboxView, MemberView, PostView, TopicView, View
from services.torture.http import Answer, Http
from services.torture.members import Member, persistent

Json = dict[str, Any]


class Page:
    """One channel as it was read; `view` None: it is gone. `entities` are as read, with `mine` and `joined`."""

    def __init__(self, view: View | None, as_of: Json, entities: list[Json]) -> None:
        self.view = view
        self.as_of = as_of
        self.entities = entities


class Reader:
    """Reads as a member, or with None as a guest; any number of pages at once."""

    def __init__(self, feed: Http, notify: Http, member: Member | None, rng: random.Random) -> None:
        self._about = (feed, notify, member, rng)

    async def page(self, channel: str) -> Page:
        """The page of `channel`, all of one epoch. Raises members.GaveUp."""
        while True:
            page = await _Reading(*self._about).page(channel)
            if page is not None:
                return page


class _Reading:
    """One page being read, part by part."""

    def __init__(self, feed: Http, notify: Http, member: Member | None, rng: random.Random) -> None:
        self._feed = feed
        self._notify = notify
        self._as = member
        self._rng = rng
        self._epochs: set[int] = set()
        self._first: Json = {}

    async def page(self, channel: str) -> Page | None:
        """None when its parts are of two epochs."""
        kind, _, name = channel.partition(":")
        view, entities = await getattr(self, f"_{kind}")(name)
        return Page(view, self._first, entities) if len(self._epochs) == 1 else None

    async def _topic(self, slug: str) -> tuple[View | None, list[Json]]:
        header = await self._get(f"/v1/topics/{slug}")
        if header.status == 404:
            return await self._gone()
        posts = await self._all(f"/v1/topics/{slug}/posts?limit=100")
        if posts is None:
            return await self._gone()
        return TopicView(header.body, posts), [header.body, *posts]

    async def _post(self, post_id: str) -> tuple[View | None, list[Json]]:
        post = await self._get(f"/v1/posts/{post_id}")
        if post.status == 404:
            return await self._gone()
        comments = await self._all(f"/v1/posts/{post_id}/comments?limit=100")
        if comments is None:
            return await self._gone()
        return PostView(post.body, comments), [post.body, *comments]

    async def _inbox(self, _member: str) -> tuple[View | None, list[Json]]:
        first = await self._get("/v1/notifications?limit=100", self._notify)
        items, page = list(first.body["items"]), first.body
        while page["next"] is not None:
            page = (await self._get(f"/v1/notifications?limit=100&before={page['next']}", self._notify)).body
            items += page["items"]
        return InboxView(items, first.body["unread"]), []

    async def _member(self, _member: str) -> tuple[View | None, list[Json]]:
        await self._get("/v1/topics?limit=1")
        return MemberView(), []

    async def _gone(self) -> tuple[View | None, list[Json]]:
        await self._get("/v1/topics?limit=1")
        return None, []

    async def _all(self, path: str) -> list[Json] | None:
        answer = await self._get(path)
        items: list[Json] = []
        while answer.status == 200:
            items += answer.body["items"]
            if answer.body["next"] is None:
                return items
            answer = await self._get(f"{path}&before={answer.body['next']}")
        return None

    async def _get(self, path: str, http: Http | None = None) -> Answer:
        if self._as is not None:
            answer = await self._as.call("GET", path, http=http)
        else:
            answer = await persistent(http or self._feed, "GET", path, rng=self._rng)
        if "chorus-as-of" in answer.headers:
            as_of = msgspec.json.decode(answer.headers["chorus-as-of"])
            self._first = self._first or as_of
            self._epochs.add(as_of["epoch"])
        return answer
