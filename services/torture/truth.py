"""What the community has committed, as the generator knows it: the state every page must show, and who was told what.

Built from answers alone. Counts and notifications are computed from the state when somebody asks, never counted along.
"""

from collections import Counter
from typing import Any, Literal, TypeAlias

import msgspec

Json = dict[str, Any]
Cause: TypeAlias = "tuple[bool, str, str, str | None]"
"""(a reaction, actor, post, comment): what a member is told of once."""


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
    answers: dict[str, str] = {}
    """Who is told of it because it answers them, and as what."""
    mentions: set[str] = set()
    """Who is told of it because it mentions them now."""


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
        post.mentions = mentioned(answer)
        self.posts[post.id] = post
        self.below[post.id] = []
        self.topics.update(post.topics)

    def take_comment(self, answer: Json) -> None:
        """A comment was created: it answers the post's author, or whoever wrote the comment above it."""
        comment = _entity(answer)
        comment.post, comment.parent = answer["post_id"], answer["parent"]
        comment.answers = {self.posts[answer["post_id"]].author: "comment"}
        if comment.parent is not None:
            comment.answers[self.comments[comment.parent].author] = "reply"
        comment.answers.pop(comment.author, None)
        comment.mentions = mentioned(answer)
        self.comments[comment.id] = comment
        self.below[answer["post_id"]].append(comment.id)

    def take_edit(self, answer: Json) -> None:
        """A post or comment has these words now, and mentions whom they mention."""
        entity = self.entity(answer["id"])
        entity.body, entity.version = answer["body"], answer["version"]
        if entity.post is None:
            entity.topics = list(answer["topics"])
            self.topics.update(entity.topics)
        entity.mentions = mentioned(answer)

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

    def inboxes(self) -> dict[str, dict[Cause, set[str]]]:
        """What must stand in each member's inbox, once each: a cause, and the kinds that it may be told as.

        Whoever is answered and mentioned is told one of both: an edit that brings the mention in changes no line.
        """
        due: dict[str, dict[Cause, set[str]]] = {}
        for entity in [*self.posts.values(), *self.comments.values()]:
            if not self.stands(entity):
                continue
            place = (entity.post or entity.id, entity.id if entity.post else None)
            for whom, kind in entity.answers.items():
                due.setdefault(whom, {})[(False, entity.author, *place)] = {kind}
            for whom in entity.mentions:
                due.setdefault(whom, {}).setdefault((False, entity.author, *place), set()).add("mention")
            for who in entity.reactions.keys() - {entity.author}:
                due.setdefault(entity.author, {})[(True, who, *place)] = {"reaction"}
        return due


def mentioned(answer: Json) -> set[str]:
    """The members, other than its author, that an answer's text mentions."""
    found = {entity["account_id"] for entity in answer["entities"] if entity["type"] == "mention"}
    return found - {answer["author"]["id"]}


def _entity(answer: Json) -> Entity:
    return Entity(id=answer["id"], author=answer["author"]["id"], body=answer["body"], version=answer["version"])
