"""Rolling upgrades: a schema is migrated while the release before still runs, so it may grow and may not take away.

What this can't show: a statement that still works and now means something else. Behaviour is what the old services'
own journey shows, where this clone has their commit.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from shared.migrations.script import VERSIONS
from tests.deploy.record_release import RELEASED, Release, check_out
from tests.e2e.people import Member
from tests.live_client import LiveClient
from tests.servers import Database
from tests.stack import Stack

RELEASES = [msgspec.json.decode(path.read_bytes(), type=Release) for path in sorted(RELEASED.glob("*.json"))]
NEWEST = RELEASES[-1]
AFTER = sorted(path for path in VERSIONS.glob("0*.sql") if path.stem[:4] > NEWEST.schema[:4])
"""Every script of a migration that the newest recorded release does not know."""

TAKES_AWAY = {
    "drops something": r"\bdrop\s+(table|column|view|function|schema|type|index|constraint|default|role|sequence)\b",
    "renames something": r"\brename\b",
    "changes a type": r"\balter\s+(column\s+)?\w+\s+(set\s+data\s+)?type\b",
    "forbids what was allowed": r"\bset\s+not\s+null\b|\badd\s+constraint\b|\brevoke\s+(?!all\s+on\s+function)",
    "adds a column that old code does not fill": r"\badd\s+column\b(?=[^,;]*\bnot\s+null\b)(?![^,;]*\bdefault\b)",
    "truncates": r"\btruncate\b",
}
_CONTRACTS = re.compile(r"^-- contracts: release \S+ no longer", re.MULTILINE)


def statements_of(sql: str) -> str:
    """A script without its comments and the bodies of its functions."""
    return re.sub(r"--[^\n]*", "", re.sub(r"\$(\w*)\$.*?\$\1\$", "", sql, flags=re.DOTALL))


@pytest.mark.parametrize("script", AFTER, ids=lambda path: path.stem)
def test_a_migration_only_expands_unless_it_names_the_release_that_no_longer_needs_it(script: Path) -> None:
    sql = script.read_text()
    takes = [what for what, pattern in TAKES_AWAY.items() if re.search(pattern, statements_of(sql), re.IGNORECASE)]
    assert not takes or _CONTRACTS.search(sql), f"it {' and '.join(takes)}: see Upgrading in docs/OPERATING.md"


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE a DROP COLUMN b;",
        "alter table a rename column b to c;",
        "alter table a alter column b type bigint;",
        "alter table a alter column b set not null;",
        "alter table a add column b bigint not null;",
        "alter table a add constraint c check (b > 0);",
        "revoke select on a from chorus_feed;",
    ],
)
def test_what_takes_away_is_recognised(sql: str) -> None:
    assert any(re.search(pattern, statements_of(sql), re.IGNORECASE) for pattern in TAKES_AWAY.values())


def test_there_is_a_recorded_release_that_is_older_than_the_schema() -> None:
    assert AFTER, "the newest migration is part of the recorded release: record the one before it"
    assert len(NEWEST.statements) > 50


def role_of(name: str) -> str:
    """Who asked it."""
    if name in ("shared/eventlog:number", "shared/eventlog:leaders"):
        return "url_direct"
    return "url_notify" if name.startswith("services/notify/") else "url_feed"


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.schema)
async def test_every_statement_of_a_release_is_taken_by_the_newest_schema(release: Release, database: Database) -> None:
    faults = []
    for role in ("url_feed", "url_notify", "url_direct"):
        connection = await asyncpg.connect(getattr(database, role))
        try:
            for name, sql in release.statements.items():
                if role_of(name) != role:
                    continue
                try:
                    await connection.prepare(sql)
                except asyncpg.PostgresError as error:
                    faults.append(f"{name}: {error}")
        finally:
            await connection.close()
    assert not faults, "\n".join(faults)


@pytest.fixture
def before(database: Database, redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """The services of the recorded release on the newest schema."""
    code = tmp_path / "before"
    try:
        check_out(NEWEST.commit, code)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip(f"this clone has no commit {NEWEST.commit[:9]}: git fetch --unshallow")
    elsewhere = {"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}
    stack = Stack(database, redis_url, tmp_path, elsewhere)
    where = [sys.executable, "-c", "import services; print(services.__file__)"]
    said = subprocess.run(where, env=stack.feed._env, capture_output=True, text=True, check=True).stdout
    assert said.startswith(str(code))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


async def test_the_services_of_the_release_before_work_on_the_newest_schema(before: Stack) -> None:
    async with await Member.sign_up(before.url, "ann") as ann, await Member.sign_up(before.url, "bob") as bob:
        async with LiveClient(before.notify.live_url, token=ann.token) as page:
            topic, inbox = await page.subscribe("topic:tea"), await page.subscribe(f"inbox:{ann.id}")
            post = await ann.post("First #tea")
            comment = await bob.comment(post, "Mine as well")
            await bob.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "heart"})
            await page.until(lambda: len([e for e in inbox.events if e["type"] == "notification.changed"]) == 2)
            await page.until(lambda: any(each["type"] == "post.created" for each in topic.events))
            await bob.call("DELETE", f"/v1/comments/{comment['id']}", expect=204)
            await page.until(lambda: any(each["type"] == "notification.removed" for each in inbox.events))
        await ann.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "Second #tea"})
        await ann.call("DELETE", f"/v1/posts/{post['id']}", expect=204)
