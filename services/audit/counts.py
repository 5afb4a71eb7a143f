"""Counts that stand in rows of their own: of posts, comments and topics, equal to what the rows say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.audit.finding import Finding, Tally
from services.audit.reading import pages
from services.progress import Report
from shared.postgres import Connection, load_queries

asked = load_queries(Path(__file__).parent / "sql" / "content.sql")

PAGE = 2_000
"""Rows a page: with their reactions and comments read by index, some tens of milliseconds."""
_MEANS = "Pages show a wrong number, and go on from it with the next change."
_DO = (
    "Set it as the schema's owner: `update feed.{table} set {column} = …, version = version + 1 where {key} = …`; "
    "pages show it with their next fetch or change. Then look for who writes without holding this row."
)


async def counted(connection: Connection, report: Report) -> list[Finding]:
    """One finding each for posts, comments and topics."""
    posts = Tally(
        "counts of posts", "post", means=_MEANS, do=_DO.format(table="post_count", column="comments", key="post_id")
    )
    comments = Tally(
        "counts of comments",
        "comment",
        means=_MEANS,
        do=_DO.format(table="comment_count", column="replies", key="comment_id"),
    )
    topics = Tally(
        "counts of topics", "topic", means=_MEANS, do=_DO.format(table="topic_count", column="posts", key="slug")
    )
    looks: tuple[tuple[Tally, str, Any, Any, Any, Callable[[Any], str]], ...] = (
        (posts, "post", asked.posts_edge, asked.wrong_post_counts, 0, _of_post),
        (comments, "comment", asked.comments_edge, asked.wrong_comment_counts, 0, _of_comment),
        (topics, "topic", asked.topics_edge, asked.wrong_topic_counts, "", _of_topic),
    )
    roughly = await rows_about(connection)
    for tally, name, edge, wrong, start, said in looks:
        async for page in pages(connection, edge, PAGE, start):
            found = [row async for row in wrong(connection, after=page.after, last=page.last)]
            tally.add(page.looked, (said(row) for row in found))
            report(f"{name}s", tally.looked, roughly.get(name, 0))
    return [tally.finding() for tally, *_ in looks]


async def rows_about(connection: Connection) -> dict[str, int]:
    """Roughly how many rows the feed's tables have; 0: unknown."""
    return {row["name"]: max(row["rows"], 0) async for row in asked.rows_about(connection)}


def _of_post(row: Any) -> str:
    return f"post {row['id']}: " + _differences(row, "comments", "reaction_total", "reactions")


def _of_comment(row: Any) -> str:
    return f"comment {row['id']}: " + _differences(row, "replies", "reaction_total", "reactions")


def _of_topic(row: Any) -> str:
    return f"topic {row['slug']}: " + _differences(row, "people", "stories", "posts")


def _differences(row: Any, *columns: str) -> str:
    if row["lacking"]:
        return "has no counts"
    said = []
    for column in columns:
        true = row[f"true_{'total' if column == 'reaction_total' else column}"]
        stored = row[column]
        if column == "reactions":
            stored, true = json.loads(stored), json.loads(true)
        if stored != true:
            said.append(f"{column} {stored}, rows say {true}")
    return ", ".join(said)
