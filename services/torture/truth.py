"""What the community has committed, as the generator knows it: the state every page must show, and who was told what.

Built from answers alone. Counts and notifications are computed from the state when somebody asks, never counted along.
"""

from collections import Counter
from typing import Any, Literal, TypeAlias

import msgspec

Json = dict[str, Any]
Told: TypeAlias = "tuple[str, str, str, str | None]"
"""(kind, actor, post, comment) of one line of an inbox."""


class Entity(msgspec.Struct, kw_only=True):
    """A post, or with `post` a comment. `leaving`: somebody has asked for its deletion, so a 404 is no wonder."""

    id: str
    author: str
    body: str
    version: int
    kind: str = "post"
    topics: list[str] = []
    post: str | None = None
    parent: str | None = None
    deleted: bool = False
    leaving: bool = False
    reactions: dict[str, str] = {}
    told: dict[str, str] = {}
    """Who was told of its being there, and as what; the first kind stays."""


class Truth(msgspec.Struct, kw_only=True):
    """Everything committed. Ids are strings, as on the wire."""

    posts: dict[str, Entity] = {}
    comments: dict[str, Entity] = {}
    below: dict[str, list[str]] = {}
    """A post's comments, oldest first, deleted ones too."""
    joined: dict[str, set[str]] = {}
    topics: set[str] = set()

    def copy(self) -> "Truth":
        """The same, apart."""
        return msgspec.convert(msgspec.to_builtins(self), Truth)

    def entity(self, target: str) -> Entity:
        """A post or a comment."""
        return self.posts.get(target) or self.comments[target]

    def standing(self) -> list[Entity]:
        """Posts that nobody is deleting, oldest first."""
        return [post for post in self.posts.values() if not (post.deleted or post.leaving)]

    def take_post(self, answer: Json) -> None:
        """A post was created."""
        post = _entity(answer)
        post.topics, post.kind = list(answer["topics"]), answer["kind"]
        post.told = {member: "mention" for member in mentioned(answer) if member != post.author}
        self.posts[post.id] = post
        self.below[post.id] = []
        self.topics.update(post.topics)

    def take_comment(self, answer: Json) -> None:
        """A comment was created. Who is told: whoever is mentioned, else answered, else the post's author."""
        comment = _entity(answer)
        comment.post, comment.parent = answer["post_id"], answer["parent"]
        told = {self.posts[answer["post_id"]].author: "comment"}
        if comment.parent is not None:
            told[self.comments[comment.parent].author] = "reply"
        told |= dict.fromkeys(mentioned(answer), "mention")
        told.pop(comment.author, None)
        comment.told = told
        self.comments[comment.id] = comment
        self.below[answer["post_id"]].append(comment.id)

    def take_edit(self, answer: Json) -> None:
        """A post or comment has these words now; whom they mention for the first time is told."""
        entity = self.entity(answer["id"])
        entity.body, entity.version = answer["body"], answer["version"]
        if entity.post is None:
            entity.topics = list(answer["topics"])
            self.topics.update(entity.topics)
        for member in mentioned(answer):
            if member != entity.author:
                entity.told.setdefault(member, "mention")

    def take_reaction(self, target: str, member: str, kind: str | None) -> None:
        """The member's one reaction is `kind`; None: none."""
        reactions = self.entity(target).reactions
        if kind is None:
            reactions.pop(member, None)
        else:
            reactions[member] = kind

    def take_membership(self, slug: str, member: str, joined: bool) -> None:
        """The member follows the topic, or does not."""
        members = self.joined.setdefault(slug, set())
        (members.add if joined else members.discard)(member)

    def stands(self, entity: Entity) -> bool:
        """Neither deleted itself nor below a deleted post."""
        return not entity.deleted and (entity.post is None or not self.posts[entity.post].deleted)

    def counts(self, entity: Entity) -> Json:
        """Its counts as HTTP gives them, without their version."""
        kinds = Counter(entity.reactions.values())
        below = self.below[entity.id] if entity.post is None else self.below[entity.post]
        children = [self.comments[child] for child in below]
        number = sum(not c.deleted and (entity.post is None or c.parent == entity.id) for c in children)
        name: Literal["comments", "replies"] = "comments" if entity.post is None else "replies"
        return {"reactions": dict(kinds), "reaction_total": kinds.total(), name: number}

    def inbox(self, member: str) -> Counter[Told]:
        """What must stand in a member's inbox, each line once."""
        return Counter(line for whom, line in self._lines() if whom == member)

    def inboxes(self) -> dict[str, Counter[Told]]:
        """Every inbox that is not empty."""
        found: dict[str, Counter[Told]] = {}
        for whom, line in self._lines():
            found.setdefault(whom, Counter())[line] += 1
        return found

    def _lines(self) -> list[tuple[str, Told]]:
        lines: list[tuple[str, Told]] = []
        for entity in [*self.posts.values(), *self.comments.values()]:
            if not self.stands(entity):
                continue
            place = (entity.post or entity.id, entity.id if entity.post else None)
            lines += [(whom, (kind, entity.author, *place)) for whom, kind in entity.told.items()]
            lines += [(entity.author, ("reaction", who, *place)) for who in entity.reactions if who != entity.author]
        return lines


def mentioned(answer: Json) -> list[str]:
    """The members that an answer's text mentions."""
    return [entity["account_id"] for entity in answer["entities"] if entity["type"] == "mention"]


def _entity(answer: Json) -> Entity:
    return Entity(id=answer["id"], author=answer["author"]["id"], body=answer["body"], version=answer["version"])
