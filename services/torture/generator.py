"""The community: members that write over HTTP, each one thing at a time, from the seed; and the truth that results.

A member's next step is chosen only when the last one is settled, so what an entity's author did to it is known in
order. What several members do to one post at once is left to race: the truth of it is a set, not an order.
"""

import asyncio
import random
from collections import Counter
from typing import Any

from services.torture.http import Answer, Http
from services.torture.members import GaveUp, Member
from services.torture.truth import Entity, Truth

Json = dict[str, Any]

KINDS = ("heart", "hug", "relate", "strength", "joy")
TOPICS = ("sleep", "walks", "tea", "letters", "gardens", "work", "music", "family")
POSTS = 160
"""Standing posts at most: past that one is deleted for each new one, so that pages stay of a size."""
THREAD = 30
"""Comments below one post at most, for the same reason."""
STEPS = {
    "post": 14,
    "comment": 30,
    "edit": 9,
    "edit_comment": 9,
    "delete": 3,
    "delete_comment": 5,
    "react": 22,
    "withdraw": 6,
    "join": 6,
    "leave": 3,
    "read": 3,
}


class Violation(Exception):
    """An answer that can't be, given what was committed."""


class Generator:
    """Members write until `pause`; `truth` is what they have committed. `made` counts what was done, by kind."""

    def __init__(self, feed: Http, notify: Http, members: list[Member], seed: str, rate: float) -> None:
        self.truth = Truth()
        self.made: Counter[str] = Counter()
        self.violations: list[str] = []
        self.members = members
        self._feed = feed
        self._notify = notify
        self._pause_each = len(members) / rate
        self._rngs = {member.handle: random.Random(f"{seed}/{member.handle}") for member in members}  # noqa: S311
        self._going = asyncio.Event()
        self._busy = 0
        self._idle = asyncio.Event()
        self._words = 0

    async def run(self) -> None:
        """Until cancelled. Raises GaveUp."""
        async with asyncio.TaskGroup() as tasks:
            for member in self.members:
                tasks.create_task(self._live(member), name=f"member-{member.handle}")

    def go(self) -> None:
        """They write."""
        self._going.set()

    async def pause(self) -> None:
        """Nobody writes any more, and everything that was begun is settled."""
        self._going.clear()
        while self._busy:
            self._idle.clear()
            await self._idle.wait()

    async def _live(self, member: Member) -> None:
        rng = self._rngs[member.handle]
        while True:
            await asyncio.sleep(rng.expovariate(1 / self._pause_each))
            step = rng.choices(list(STEPS), list(STEPS.values()))[0]
            await self._going.wait()
            self._busy += 1
            try:
                await getattr(self, f"_{step}")(member, rng)
            except Violation as error:
                self.violations.append(str(error))
            finally:
                self._busy -= 1
                self._idle.set()

    async def _post(self, member: Member, rng: random.Random) -> None:
        if len(self.truth.standing()) >= POSTS:
            await self._delete(member, rng)
        body: Json = {"body": self._text(rng), "topics": self._topics(rng)}
        if rng.random() < 0.2:
            body |= {"kind": "story", "title": f"A story of {member.handle}"}
        answer = await member.call("POST", "/v1/posts", body, key=self._key(member))
        self._expect(answer, 201, f"{member.handle} posts")
        self.truth.take_post(answer.body)
        self.made["post"] += 1

    async def _comment(self, member: Member, rng: random.Random) -> None:
        post = self._some_post(rng)
        if post is None or len(self.truth.below[post.id]) >= THREAD:
            return await self._post(member, rng)
        body: Json = {"body": self._text(rng)}
        parents = [c for c in self.truth.below[post.id] if not self.truth.comments[c].leaving]
        if parents and rng.random() < 0.5:
            body["parent"] = rng.choice(parents)
        answer = await member.call("POST", f"/v1/posts/{post.id}/comments", body, key=self._key(member))
        leaving = post.leaving or ("parent" in body and self.truth.comments[body["parent"]].leaving)
        if answer.status in (404, 422) and leaving:
            return None
        self._expect(answer, 201, f"{member.handle} comments on {post.id}: {body}")
        self.truth.take_comment(answer.body)
        self.made["comment"] += 1
        return None

    async def _edit(self, member: Member, rng: random.Random) -> None:
        own = [post for post in self.truth.standing() if post.author == member.id]
        if own:
            await self._change(member, rng, rng.choice(own[-20:]), "posts")

    async def _edit_comment(self, member: Member, rng: random.Random) -> None:
        if comment := self._own_comment(member, rng):
            await self._change(member, rng, comment, "comments")

    async def _change(self, member: Member, rng: random.Random, entity: Entity, folder: str) -> None:
        """An edit whose answer got lost has been done when the next try finds the next version with these words."""
        body: Json = {"version": entity.version, "body": self._text(rng)}
        if folder == "posts" and rng.random() < 0.5:
            body["topics"] = self._topics(rng)
        answer = await member.call("PATCH", f"/v1/{folder}/{entity.id}", body)
        if answer.status == 409:
            answer = await member.call("GET", f"/v1/{folder}/{entity.id}")
            done = answer.status == 200 and answer.body["version"] == entity.version + 1
            if done and answer.body["body"] != body["body"]:
                raise Violation(f"{folder} {entity.id} was changed by nobody: {answer.body}")
        if answer.status == 404 and self._leaving(entity):
            return
        self._expect(answer, 200, f"{member.handle} edits {folder} {entity.id}")
        if answer.body["version"] != entity.version + 1:
            raise Violation(f"an edit of version {entity.version} made {answer.body}")
        self.truth.take_edit(answer.body)
        self.made["edit"] += 1

    async def _delete(self, member: Member, rng: random.Random) -> None:
        own = [post for post in self.truth.standing() if post.author == member.id]
        if own:
            await self._take_away(member, own[0], "posts")

    async def _delete_comment(self, member: Member, rng: random.Random) -> None:
        if comment := self._own_comment(member, rng):
            await self._take_away(member, comment, "comments")

    async def _take_away(self, member: Member, entity: Entity, folder: str) -> None:
        entity.leaving = True
        answer = await member.call("DELETE", f"/v1/{folder}/{entity.id}")
        if answer.status != 404:  # done already, by a try whose answer got lost; or with its post
            self._expect(answer, 204, f"{member.handle} deletes {folder} {entity.id}")
        post = entity if entity.post is None else self.truth.posts[entity.post]
        if answer.status == 204 or not post.leaving or post is entity:
            entity.deleted = True
            entity.version += 1
        self.made["delete"] += 1

    async def _react(self, member: Member, rng: random.Random) -> None:
        target = self._some_target(rng)
        if target is not None:
            await self._set(member, target, rng.choice(KINDS))

    async def _withdraw(self, member: Member, rng: random.Random) -> None:
        target = self._some_target(rng)
        if target is not None:
            await self._set(member, target, None)

    async def _set(self, member: Member, target: Entity, kind: str | None) -> None:
        path = f"/v1/{'posts' if target.post is None else 'comments'}/{target.id}/reaction"
        if kind is None:
            answer = await member.call("DELETE", path)
        else:
            answer = await member.call("PUT", path, {"kind": kind})
        if answer.status == 404 and self._leaving(target):
            return
        self._expect(answer, 204 if kind is None else 200, f"{member.handle} reacts to {target.id}")
        self.truth.take_reaction(target.id, member.id, kind)
        self.made["react"] += 1

    async def _join(self, member: Member, rng: random.Random) -> None:
        await self._move(member, rng, True)

    async def _leave(self, member: Member, rng: random.Random) -> None:
        await self._move(member, rng, False)

    async def _move(self, member: Member, rng: random.Random, joined: bool) -> None:
        if not self.truth.topics:
            return
        slug = rng.choice(sorted(self.truth.topics))
        answer = await member.call("PUT" if joined else "DELETE", f"/v1/topics/{slug}/membership")
        self._expect(answer, 200 if joined else 204, f"{member.handle} joins or leaves {slug}")
        self.truth.take_membership(slug, member.id, joined)
        self.made["join"] += 1

    async def _read(self, member: Member, rng: random.Random) -> None:
        page = await member.call("GET", "/v1/notifications?limit=10", http=self._notify)
        self._expect(page, 200, f"{member.handle} reads the inbox")
        if page.body["items"]:
            up_to = rng.choice(page.body["items"])["id"]
            answer = await member.call("POST", "/v1/notifications/read", {"up_to": up_to}, http=self._notify)
            self._expect(answer, 200, f"{member.handle} has read up to {up_to}")
            self.made["read"] += 1

    def _some_post(self, rng: random.Random) -> Entity | None:
        """Mostly one of the newest, as people do."""
        standing = self.truth.standing()
        return rng.choice(standing[-25:]) if standing else None

    def _some_target(self, rng: random.Random) -> Entity | None:
        post = self._some_post(rng)
        if post is None or rng.random() < 0.6:
            return post
        below = [self.truth.comments[c] for c in self.truth.below[post.id] if not self.truth.comments[c].leaving]
        return rng.choice(below) if below else post

    def _own_comment(self, member: Member, rng: random.Random) -> Entity | None:
        own = [c for c in self.truth.comments.values() if c.author == member.id and not self._leaving(c)]
        return rng.choice(own[-20:]) if own else None

    def _leaving(self, entity: Entity) -> bool:
        return entity.leaving or (entity.post is not None and self.truth.posts[entity.post].leaving)

    def _topics(self, rng: random.Random) -> list[str]:
        topics = rng.sample(TOPICS, rng.choice((1, 1, 2)))
        if rng.random() < 0.15:
            topics.append(f"new{rng.randrange(60)}")
        return topics

    def _text(self, rng: random.Random) -> str:
        self._words += 1
        text = f"Number {self._words}: {rng.choice(('rain again', 'a long day', 'small joys', 'no idea, but'))}"
        if rng.random() < 0.25:
            text += f" @{rng.choice(self.members).handle}"
        return text + rng.choice(("", " 🙂", " #tea", "\nand a second line"))

    def _key(self, member: Member) -> str:
        self._words += 1
        return f"{member.handle}-{self._words}"

    def _expect(self, answer: Answer, status: int, what: str) -> None:
        if answer.status != status:
            raise Violation(f"{what}: expected {status}, got {answer.status} {answer.body}")


__all__ = ["GaveUp", "Generator", "Violation"]
