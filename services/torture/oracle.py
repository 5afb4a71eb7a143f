"""The oracle: when everything is settled, every page, every client and every inbox must show what was committed."""

import asyncio
import random
from collections import Counter
from typing import Any

from services.torture.client import Client
from services.torture.fold import InboxView, MemberView, PostView, TopicView, View, difference
from services.torture.generator import Generator
from services.torture.ledger import Heads, Ledger, by_channel, judge
from services.torture.lives import Life
from services.torture.memory import may_grow
from services.torture.pages import Reader
from services.torture.published import events, published, unlike
from services.torture.stage import NOTIFIES, Stage
from services.torture.truth import Cause, Entity, Truth

Json = dict[str, Any]
PATIENCE = 120.0
"""Seconds that a client may take until it shows what everybody else sees: marks come every 15, tries every 3."""


class Oracle:
    """`look` compares everything, `faults` in what it found go to the report. `looks` counts what was compared."""

    def __init__(self, stage: Stage, ledger: Ledger, generator: Generator, clients: list[Client], seed: str) -> None:
        self.looks: Counter[str] = Counter()
        self.undecodable: set[int] = set()
        """Ids of events that were made so that nobody can read them."""
        self.passers: list[Life] = []
        """Lives of others than the clients, to be compared with the log once."""
        self.passed = 0
        """The most of them at once."""
        self._stage = stage
        self._ledger = ledger
        self._generator = generator
        self._clients = clients
        feed, notify = stage.http["feed"], stage.http["notify-1"]
        rng = random.Random(seed)  # noqa: S311
        self._guest = Reader(feed, notify, None, rng)
        self._readers = {member.id: Reader(feed, notify, member, rng) for member in generator.members}

    async def look(self) -> list[str]:
        """What is wrong now. The community must stand still, and every fault be healed."""
        try:
            heads = await self._ledger.settle()
        except TimeoutError as error:
            return [str(error)]
        pages = await self._pages()
        wrong = self._against_truth(pages)
        wrong += await self._inboxes(pages)
        wrong += await self._patiently(pages)
        wrong += await self._log(heads, pages)
        self.looks["quiescence points"] += 1
        return wrong

    def standing(self) -> list[str]:
        """What no process may have done, at any time."""
        wrong = list(self._generator.violations)
        for http in self._stage.http.values():
            for request_id, broken in http.broken.items():
                said = [line for service in self._stage.services for line in service.said_of(request_id)]
                wrong.append("\n".join([f"500: {broken}", *said]))
        for service in self._stage.services:
            wrong += [f"died, and nobody killed it: {death}" for death in service.deaths]
        bounds = self.bounds()
        for name, (_, seen) in self._stage.memory().items():
            if seen.grown > bounds[name]:
                wrong.append(f"{name} grew by {seen.grown:.0f} MB, and could hold {bounds[name]:.0f}")
        return wrong

    def bounds(self) -> dict[str, float]:
        """MB that each process may have grown by."""
        log = self._ledger.weight()
        sockets = len(self._clients) + self.passed // NOTIFIES
        return {name: may_grow(role, log, sockets) for name, (role, _) in self._stage.memory().items()}

    async def _pages(self) -> dict[str, View]:
        """Every channel that has a page, read afresh."""
        truth = self._generator.truth
        channels = {f"topic:{slug}" for slug in truth.topics}
        channels |= {f"post:{post.id}" for post in truth.posts.values() if not post.deleted}
        channels |= {channel for client in self._clients for channel in client.subscriptions}
        pages: dict[str, View] = {}
        for channel in sorted(channels):
            if channel.startswith(("topic:", "post:")):
                page = await self._guest.page(channel)
                pages[channel] = page.view or PostView(None, [])
        for member, reader in self._readers.items():
            page = await reader.page(f"inbox:{member}")
            assert page.view is not None  # noqa: S101 - an inbox is never gone
            pages[f"inbox:{member}"] = page.view
        self.looks["pages"] += len(pages)
        return pages

    def _against_truth(self, pages: dict[str, View]) -> list[str]:
        truth, wrong = self._generator.truth, []
        for channel, page in pages.items():
            if isinstance(page, TopicView):
                wrong += [f"{channel}: {line}" for line in _topic_wrong(truth, page)]
            elif isinstance(page, PostView):
                wrong += [f"{channel}: {line}" for line in _thread_wrong(truth, channel.partition(":")[2], page)]
        return wrong

    async def _inboxes(self, pages: dict[str, View]) -> list[str]:
        """Each notification exactly once, for whoever must have been told, and nobody else."""
        wrong = await self._ledger.inboxes()
        due = self._generator.truth.inboxes()
        for member in self._readers:
            page = pages[f"inbox:{member}"]
            assert isinstance(page, InboxView)  # noqa: S101
            wrong += [f"inbox of {member} {line}" for line in _inbox_wrong(due.get(member, {}), page)]
            self.looks["notifications"] += len(page.items)
        parked = await self._ledger.dead_letters()
        if parked != self.undecodable:
            wrong.append(f"parked are {parked}, undecodable were {self.undecodable}")
        return wrong

    async def _patiently(self, pages: dict[str, View]) -> list[str]:
        """Every client shows these pages, before long."""
        shown = {channel: page.shown() for channel, page in pages.items()}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        waiting = list(self._clients)
        while True:
            waiting = [client for client in waiting if self._unlike(client, shown)]
            if not waiting:
                self.looks["folds"] += sum(len(client.subscriptions) for client in self._clients)
                self.looks["folds at home"] += sum(len(client.home.views) for client in self._clients if client.home)
                return []
            if loop.time() > deadline:
                return [f"{client.name}: {self._unlike(client, shown)}; {client.where()}" for client in waiting[:10]]
            await asyncio.sleep(0.1)

    def _unlike(self, client: Client, shown: dict[str, Json]) -> str:
        if not client.live:
            states = {name: s.chain.state for name, s in client.subscriptions.items() if s.chain.state != "live"}
            return f"is not live: wants {client.wanted}, has {states}"
        views = {channel: subscription.view for channel, subscription in client.subscriptions.items()}
        for channel, view in [*views.items(), *(client.home.views.items() if client.home else ())]:
            due = _due(view, shown) if isinstance(view, MemberView) else shown.get(channel)
            if due is not None and (found := difference(view.shown(), due)):
                return f"{channel}: {found}"
        return self._unlike_mine(client, self._generator.truth)

    def _unlike_mine(self, client: Client, truth: Truth) -> str:
        if client.member is None:
            return ""
        me = client.member.id
        for name, known in client.mine.state.items():
            entity = truth.posts.get(name) or truth.comments.get(name)
            if entity is None:
                if known != (me in truth.joined.get(name, set())):
                    return f"thinks of its membership in {name}: {known}"
            elif truth.stands(entity) and known != entity.reactions.get(me):
                return f"thinks of its reaction to {name}: {known}, set was {entity.reactions.get(me)}"
        return ""

    async def _log(self, heads: Heads, pages: dict[str, View]) -> list[str]:
        wrong = await self._ledger.density()
        compared, differing = await self._ledger.streams()
        rows, changed = await self._ledger.rows()
        told = events(rows)
        wrong += differing + changed + published(self._generator.truth, told) + unlike(told, pages)
        self.looks["pages read from the log"] += len(pages)
        logs = by_channel(rows)
        for client in self._clients:
            for life in client.lives:
                if found := judge(life, logs, heads):
                    wrong.append(found)
                self.looks["lives"] += 1
                self.looks["events in lives"] += len(life.applied)
            client.ended.clear()
            if client.home is not None:
                client.home.ended.clear()
            for life in client.lives:
                if life.epoch == heads.epoch and life.end is not None:
                    life.checked(life.end)
        wrong += [found for life in self.passers if (found := judge(life, logs, heads))]
        self.looks["lives in crowds"] += len(self.passers)
        self.passed = max(self.passed, len(self.passers))
        self.passers.clear()
        self.looks["entries compared with Redis"] += compared
        self.looks["log entries"] = sum(heads.seq)
        return wrong


def _due(view: MemberView, shown: dict[str, Json]) -> Json:
    """What is held of a member as their posts' pages show it; of comments below a post that is gone nobody tells."""
    for gone in [held["id"] for held in view.comments.values() if not shown.get(f"post:{held['post_id']}")]:
        del view.comments[gone]
    due = {name: shown.get(f"post:{name}", {}).get(name) for name in view.posts}
    due |= {name: shown[f"post:{held['post_id']}"].get(name) for name, held in view.comments.items()}
    return {name: entity for name, entity in due.items() if entity is not None}


def _inbox_wrong(due: dict[Cause, set[str]], page: InboxView) -> list[str]:
    wrong, left = [], dict(due)
    for item in page.items.values():
        cause = (item["kind"] == "reaction", item["actor"]["id"], item["post_id"], item["comment_id"])
        if item["kind"] not in left.pop(cause, set()):
            wrong.append(f"has {item}, which is not due (again); due was {due.get(cause)}")
    return wrong + [f"lacks {kinds} for {cause}" for cause, kinds in left.items()]


def _topic_wrong(truth: Truth, page: TopicView) -> list[str]:
    slug = page.header["slug"]
    posts = [post for post in truth.posts.values() if not post.deleted and slug in post.topics]
    wrong = []
    if page.posts.keys() != {post.id for post in posts}:
        wrong.append(f"shows {len(page.posts)} posts, committed are {len(posts)}")
    due = {
        "people": len(truth.joined.get(slug, ())),
        "posts": sum(post.kind == "post" for post in posts),
        "stories": sum(post.kind == "story" for post in posts),
    }
    given = {name: page.header[name] for name in due}
    if given != due:
        wrong.append(f"says {given}, committed is {due}")
    return wrong + [
        line for post in posts if post.id in page.posts for line in _entity_wrong(truth, post, page.posts[post.id])
    ]


def _thread_wrong(truth: Truth, post_id: str, page: PostView) -> list[str]:
    post = truth.posts[post_id]
    if post.deleted or not page.posts:
        return [] if post.deleted and not page.posts else [f"is {'there' if page.posts else 'gone'}"]
    wrong = _entity_wrong(truth, post, page.posts[post_id])
    if page.comments.keys() != set(truth.below[post_id]):
        wrong.append(f"shows {len(page.comments)} comments, committed are {len(truth.below[post_id])}")
        return wrong
    return wrong + [
        line for c, shown in page.comments.items() for line in _entity_wrong(truth, truth.comments[c], shown)
    ]


def _entity_wrong(truth: Truth, entity: Entity, shown: Json) -> list[str]:
    due: Json = {"version": entity.version, "body": "" if entity.deleted else entity.body}
    if entity.post is None:
        due["topics"] = entity.topics
    else:
        due |= {"deleted": entity.deleted, "parent": entity.parent}
    given = {name: shown[name] for name in due}
    wrong = [] if given == due else [f"{entity.id} is {given}, committed is {due}"]
    counts = {name: value for name, value in shown["counts"].items() if name != "version"}
    if not entity.deleted and counts != truth.counts(entity):
        wrong.append(f"{entity.id} counts {counts}, committed are {truth.counts(entity)}")
    return wrong
