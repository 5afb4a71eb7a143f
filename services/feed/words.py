"""What a text says once it is taken: its entities with accounts behind its mentions, and the topics it names."""

import asyncio
from collections.abc import Mapping

import msgspec

from services.feed import markdown, text
from services.feed.accounts import ids_by_handle
from shared.errors import Fault, Invalid
from shared.postgres import Connection
from shared.wire import Entity

MOST = 512 * 1024
"""Bytes of a text's entities: with the words they travel in one event, which has a megabyte at most."""


def found_in(kind: str, body: str) -> list[text.Entity]:
    """Tags, mentions and links of a post's body: of a story's those that are not in its code."""
    return markdown.entities(body) if kind == "story" else text.entities(body)


async def find(kind: str, body: str) -> list[text.Entity]:
    """As `found_in`; a story's, which may take a while, in a thread."""
    return await asyncio.to_thread(found_in, kind, body) if kind == "story" else found_in(kind, body)


def check_length(kind: str, body: str) -> list[Fault]:
    """Whether a post, which may not be as long as a story, is too long."""
    most = (markdown.STORY_LENGTH if kind == "story" else text.BODY_LENGTH)[1]
    if len(body) <= most:
        return []
    return [Fault(field="body", code="too_long", detail=f"At most {most:,} characters; these are {len(body):,}.")]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a topic stands in a post: among those asked for, and among the tags of the text; None: not there."""

    tag: str
    asked: int | None
    in_text: int | None


def places(asked: list[str], found: list[text.Entity]) -> dict[str, Place]:
    """A post's topics by slug: those asked for first, then in the order of the text, each once.

    `asked` may hold any spelling; each must be a tag. The spelling kept is the first: asked for before written.
    """
    spelled: dict[str, str] = {}
    asked_at: dict[str, int] = {}
    text_at: dict[str, int] = {}
    for spelling in asked:
        slug = text.tag_slug(spelling)
        assert slug is not None, "checked at the door"  # noqa: S101
        spelled.setdefault(slug, spelling)
        asked_at.setdefault(slug, len(asked_at))
    for entity in found:
        if isinstance(entity, text.Tag):
            spelled.setdefault(entity.slug, entity.tag)
            text_at.setdefault(entity.slug, len(text_at))
    return {slug: Place(tag=tag, asked=asked_at.get(slug), in_text=text_at.get(slug)) for slug, tag in spelled.items()}


async def resolve(connection: Connection, found: list[text.Entity]) -> list[Entity]:
    """Entities as they travel: a mention of nobody is plain text. Raises Invalid where they take more than MOST."""
    handles = list({entity.handle for entity in found if isinstance(entity, text.Mention)})
    accounts = await ids_by_handle(connection, handles)
    sent = [one for entity in found if (one := wired(entity, accounts)) is not None]
    if len(msgspec.json.encode(sent)) > MOST:
        detail = f"Its tags, mentions and links take more than {MOST // 1024} KiB."
        raise Invalid(errors=[Fault(field="body", code="too_long", detail=detail)])
    return sent


def wired(entity: text.Entity, accounts: Mapping[str, int]) -> Entity | None:
    """An entity as it travels; None for a mention of a handle that is not in `accounts`."""
    if isinstance(entity, text.Tag):
        return Entity(type="tag", start=entity.start, end=entity.end, slug=entity.slug)
    if isinstance(entity, text.Link):
        return Entity(type="link", start=entity.start, end=entity.end, url=entity.url)
    account_id = accounts.get(entity.handle)
    if account_id is None:
        return None
    return Entity(type="mention", start=entity.start, end=entity.end, account_id=str(account_id))
