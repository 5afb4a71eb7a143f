"""A plan's new lines as rows of the feed's tables: entities found, mentions resolved, counts to add. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import UnsetType

from services.feed import text
from services.feed.archive.photos import Photo
from services.feed.archive.plan import Plan, digest_of, key_of
from services.feed.archive.records import Comment, Member, Membership, Post, Reaction, Topic
from services.feed.rows import json_text
from services.feed.words import found_in, wired


class Tagging(NamedTuple):
    """A post in a topic: its place among those asked for, and among the tags of its text."""

    topic: str
    post_id: int
    kind: str
    asked: int | None
    in_text: int | None


class Rows:
    """Everything that a plan writes, as tuples in the order of its statement's columns."""

    def __init__(self, plan: Plan, photos: Mapping[str, Photo], handles: Mapping[str, int], now: datetime) -> None:
        self._plan = plan
        self._handles = handles
        self._photos = photos
        self._now = now
        self.spellings: dict[str, str] = {}
        """Topics that only texts name: slug to the first author's spelling."""
        self.taggings: list[Tagging] = []
        self.media: list[tuple[object, ...]] = []
        self.photo_refs: list[tuple[object, ...]] = []
        self.lanes: Counter[tuple[str, str]] = Counter()
        """(topic, kind of post) to how many posts it gains."""
        self.posts = [self._post(line, post) for line, post in plan.new(Post)]
        self.comments = [self._comment(comment) for _, comment in plan.new(Comment)]

    def accounts(self) -> list[tuple[object, ...]]:
        return [
            (self._plan.ids["member", m.ref], m.handle, m.display_name, self.at(self._plan.since))
            for _, m in self._plan.new(Member)
        ]

    def topics(self) -> list[tuple[object, ...]]:
        return [(t.slug, t.name, t.tag, t.description) for _, t in self._plan.new(Topic)]

    def memberships(self) -> list[tuple[object, ...]]:
        return [(self._plan.ids["member", m.member], m.topic) for _, m in self._plan.new(Membership)]

    def reactions(self) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        """To posts, and to comments. An archive doesn't say when: with what they answer, the earliest they can be."""
        written = {("post", p.ref): p.created_at for _, p in self._plan.contents.each(Post)}
        written |= {("comment", c.ref): c.created_at for _, c in self._plan.contents.each(Comment)}
        found: dict[str, list[tuple[object, ...]]] = {"post": [], "comment": []}
        for _, reaction in self._plan.new(Reaction):
            target = target_of(reaction)
            member = self._plan.ids["member", reaction.member]
            found[target[0]].append((self._plan.ids[target], member, reaction.kind, self.at(written[target])))
        return found["post"], found["comment"]

    def refs(self) -> Iterator[tuple[object, ...]]:
        """What the import is remembered by."""
        for line, record in self._plan.everything_new():
            key = key_of(record)
            yield (*key, self._plan.ids.get(key), line, digest_of(record), None)
        yield from self.photo_refs

    def new_posts(self) -> Iterator[tuple[int, datetime]]:
        """(id, time) of every post that is made."""
        return ((self._plan.ids["post", p.ref], self.at(p.created_at)) for _, p in self._plan.new(Post))

    def touched_posts(self) -> set[int]:
        """Posts whose counts change."""
        found = {self._plan.ids["post", c.post] for _, c in self._plan.new(Comment)}
        return found | {self._plan.ids["post", r.post] for _, r in self._plan.new(Reaction) if isinstance(r.post, str)}

    def touched_comments(self) -> set[int]:
        """Comments whose counts change."""
        found = {self._plan.ids["comment", c.parent] for _, c in self._plan.new(Comment) if c.parent is not None}
        reactions = (r.comment for _, r in self._plan.new(Reaction))
        return found | {self._plan.ids["comment", ref] for ref in reactions if isinstance(ref, str)}

    def touched_topics(self) -> set[str]:
        """Topics whose header or counts change."""
        found = {t.slug for _, t in self._plan.new(Topic)} | {m.topic for _, m in self._plan.new(Membership)}
        return found | {tagging.topic for tagging in self.taggings}

    def older_authors(self) -> set[int]:
        """Members who were here before this import and write something in it."""
        refs = {post.author for _, post in self._plan.new(Post)}
        refs |= {comment.author for _, comment in self._plan.new(Comment)}
        return {self._plan.ids["member", ref] for ref in refs if not self._plan.is_new("member", ref)}

    def at(self, moment: datetime) -> datetime:
        """A time of the archive as it is stored."""
        return moment + self._plan.shift

    def _post(self, line: int, post: Post) -> tuple[object, ...]:
        post_id = self._plan.ids["post", post.ref]
        author = self._plan.ids["member", post.author]
        found = found_in(post.kind, post.body)
        self._tag(post, post_id, found)
        for place, photo in enumerate(post.media):
            media_id = self._plan.make_id(self.at(post.created_at))
            seen = self._photos[photo.file]
            self.media.append(
                (
                    *(media_id, author, post_id, place, photo.alt, seen.type, seen.width, seen.height),
                    *(seen.digest, self.at(post.created_at)),
                )
            )
            ref = f"{post.ref}\t{place}"
            self.photo_refs.append(("media", ref, media_id, line, bytes.fromhex(seen.digest), photo.file))
        warning = None if isinstance(post.content_warning, UnsetType) else post.content_warning
        return (
            *(post_id, author, post.kind, post.title, post.body, self._entities(found), warning),
            *(self.at(post.created_at), self._edited(post.edited_at)),
        )

    def _tag(self, post: Post, post_id: int, found: list[text.Entity]) -> None:
        in_text: dict[str, int] = {}
        for entity in found:
            if isinstance(entity, text.Tag) and entity.slug not in in_text:
                in_text[entity.slug] = len(in_text)
                self.spellings.setdefault(entity.slug, entity.tag)
        asked = {slug: place for place, slug in enumerate(post.topics)}
        for slug in [*asked, *(slug for slug in in_text if slug not in asked)]:
            self.taggings.append(Tagging(slug, post_id, post.kind, asked.get(slug), in_text.get(slug)))
            self.lanes[slug, post.kind] += 1

    def _comment(self, comment: Comment) -> tuple[object, ...]:
        ids = self._plan.ids
        return (
            *(ids["comment", comment.ref], ids["post", comment.post]),
            *(ids["comment", comment.parent] if comment.parent is not None else None, ids["member", comment.author]),
            *(comment.body, self._entities(text.entities(comment.body))),
            *(self.at(comment.created_at), self._edited(comment.edited_at)),
        )

    def _edited(self, moment: datetime | UnsetType) -> datetime | None:
        return None if isinstance(moment, UnsetType) else self.at(moment)

    def _entities(self, found: list[text.Entity]) -> str:
        return json_text([sent for entity in found if (sent := wired(entity, self._handles)) is not None])


def mentioned(plan: Plan) -> set[str]:
    """The handles that new posts and comments mention."""
    bodies = [post.body for _, post in plan.new(Post)] + [comment.body for _, comment in plan.new(Comment)]
    return {e.handle for body in bodies if "@" in body for e in text.entities(body) if isinstance(e, text.Mention)}


def target_of(reaction: Reaction) -> tuple[str, str]:
    """What a reaction answers, as a key of the plan's ids."""
    if isinstance(reaction.post, str):
        return "post", reaction.post
    return "comment", str(reaction.comment)
