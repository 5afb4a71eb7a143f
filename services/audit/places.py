"""Where posts stand: their stored topics are those asked for and those in their text, as the folding says."""

import json
from typing import Any

from services.audit.counts import asked, rows_about
from services.audit.finding import Finding, Tally
from services.audit.reading import pages
from services.feed import text, words
from services.progress import Report
from shared.postgres import Connection
from shared.slugs import fold

PAGE = 200
"""Posts a page, with their words: 8 MB at the very most."""


async def placed(connection: Connection, report: Report) -> list[Finding]:
    """One finding for all posts, deleted ones too: those stand nowhere."""
    tally = Tally(
        "topics of posts",
        "post",
        means="A post is shown in a topic that it does not name, or not in one that it names, or in another order.",
        do="Its author's next edit mends what comes from the words. If a release reads tags in another way, old posts "
        "keep what they had: that is meant.",
    )
    roughly = (await rows_about(connection)).get("post", 0)
    async for page in pages(connection, asked.posts_edge, PAGE):
        found = [row async for row in asked.posts_with_topics(connection, after=page.after, last=page.last)]
        tally.add(page.looked, (f"post {row['id']}: {said}" for row in found if (said := _misplaced(row)) is not None))
        report("topics", tally.looked, roughly)
    return [tally.finding()]


def _misplaced(row: Any) -> str | None:
    places: list[tuple[str, int | None, int | None, str]] = [tuple(each) for each in json.loads(row["places"])]
    if row["deleted"]:
        return f"deleted, and stands in {_named(slug for slug, *_ in places)}" if places else None
    true: dict[str, int] = {}
    for entity in words.found_in(row["kind"], row["body"]):
        if isinstance(entity, text.Tag):
            true.setdefault(entity.slug, len(true))
    stored = {slug: in_text for slug, _, in_text, _ in places if in_text is not None}
    if stored != true:
        lacking, beyond = true.keys() - stored.keys(), stored.keys() - true.keys()
        parts = [f"its text names {_named(lacking)} besides"] if lacking else []
        parts += [f"its text does not name {_named(beyond)}"] if beyond else []
        return ", ".join(parts) or "its tags stand in another order than its text has them"
    asked_for = sorted(place for _, place, _, _ in places if place is not None)
    if asked_for != list(range(len(asked_for))):
        return f"those asked for have the places {asked_for}"
    if unfolded := [slug for slug, *_ in places if fold(slug) != slug]:
        return f"{_named(unfolded)} is not folded"
    if any(kind != row["kind"] for *_, kind in places):
        return "it stands in the lane of another kind"
    return None


def _named(slugs: Any) -> str:
    return ", ".join(sorted(slugs))
