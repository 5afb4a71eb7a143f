"""Every named query of every service is PREPAREd against the schema, as the role that runs it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import shared
from shared.postgres import load_queries
from tests.servers import Database

ROOT = Path(shared.__file__).parent.parent
FOLDERS = [ROOT / "shared" / "sql", *sorted((ROOT / "services").glob("*/sql"))]
FILES = sorted(file for folder in FOLDERS for file in folder.glob("*.sql"))


def role_of(file: Path) -> str:
    """Who runs the queries of this file."""
    return "url_notify" if "notify" in file.parts else "url_feed"


def statements(file: Path) -> list[tuple[str, str]]:
    """Each query's name and its statement as the driver gets it."""
    queries = load_queries(file)
    names = [name for name in queries.available_queries if not name.endswith("_cursor")]
    return [(name, getattr(queries, name).sql) for name in names]


@pytest.fixture
async def connections(database: Database) -> AsyncIterator[dict[str, "asyncpg.Connection[asyncpg.Record]"]]:
    """A connection of each role."""
    opened = {role: await asyncpg.connect(getattr(database, role)) for role in ("url_feed", "url_notify")}
    yield opened
    for connection in opened.values():
        await connection.close()


async def test_every_named_query_can_be_prepared(
    connections: dict[str, "asyncpg.Connection[asyncpg.Record]"],
) -> None:
    faults = []
    count = 0
    for file in FILES:
        for name, statement in statements(file):
            count += 1
            try:
                await connections[role_of(file)].prepare(statement)
            except asyncpg.PostgresError as error:
                faults.append(f"{file.relative_to(ROOT)} {name}: {error}")
    assert not faults, "\n".join(faults)
    assert count > 5


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_of_queries_says_what_it_holds(file: Path) -> None:
    assert file.read_text().startswith("-- ")


COMPARES_CLOCKS = "time_there"
"""The one query that is about the server's time."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_query_asks_the_server_for_time_or_ids(file: Path) -> None:
    for name, statement in statements(file):
        assert name == COMPARES_CLOCKS or not re.search(
            r"\bnow\(\)|current_timestamp|clock_timestamp|gen_random_uuid", statement, re.I
        ), name
