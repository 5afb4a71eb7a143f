"""Postgres behind PgBouncer in transaction mode: feed and notify through it, the sequencer beside it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from services.embedded import Postgres
from services.feed.settings import FeedSettings
from services.reaching import postgres
from shared.postgres import SERVER_SETTINGS, connecting, open_pool, transaction
from shared.settings import SettingsError, load
from tests.e2e.people import Member
from tests.eventlog.rig import Rig, until
from tests.live_client import LiveClient
from tests.production.commands import chorus
from tests.production.pooler import SERVERS, Pooler, prepared
from tests.production.standby import sockets_of
from tests.servers import Database, server_folder
from tests.stack import Stack


@pytest.fixture
def pooled(postgres_server: Postgres, database: Database) -> Iterator[Database]:
    """The test's database with a PgBouncer in front of the services, not ready yet."""
    with server_folder() as folder, Pooler(folder, database, sockets_of(postgres_server)).running() as pooler:
        yield pooler.database


async def test_a_community_lives_behind_a_transaction_pooler(pooled: Database, redis_url: str, tmp_path: Path) -> None:
    await prepared(pooled)
    stack = Stack(pooled, redis_url, tmp_path, {})
    try:
        stack.start()
        members = [await Member.sign_up(stack.url, "pooled") for _ in range(4)]
        async with LiveClient(stack.notify.live_url, members[0].token) as client:
            await client.subscribe("topic:pooled")
            await client.subscribe(f"inbox:{members[0].id}")
            first = await members[0].post("The first. #pooled")

            async def live(member: Member) -> None:
                for number in range(6):
                    post = await member.post(f"{number}. #pooled")
                    await member.comment(first, "An answer.")
                    await member.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "heart"})
                    await member.get("/v1/topics/pooled/posts", limit=50)

            await asyncio.gather(*(live(member) for member in members))
            listed = await members[0].get("/v1/topics/pooled/posts", limit=50)
            assert len(listed["items"]) == 25

            def all_here() -> bool:
                events = client.subscriptions["topic:pooled"].events
                return len([event for event in events if event["type"] == "post.created"]) == 25

            await client.until(all_here, 30)

            async def all_told() -> bool:
                inbox = (await members[0].http.get(f"{stack.notify.url}/v1/notifications")).json()
                return bool(inbox["unread"] == 18)

            await until(all_told)
        for member in members:
            await member.http.aclose()
        assert "BAD" not in await chorus(stack.feed._env, "doctor")
        assert "ok   counts of posts" in await chorus(stack.feed._env, "audit")
        assert len((await chorus(stack.feed._env, "export")).splitlines()) > 25
        async with Rig(pooled, redis_url) as rig:
            await rig.settle()
            await rig.check()
            servers = await rig.pool.fetch(
                """SELECT usename, count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND usename LIKE 'chorus\\_%' GROUP BY usename"""
            )
            assert {row[0] for row in servers} == {"chorus_feed", "chorus_notify"}
            assert all(row[1] <= SERVERS for row in servers), servers
        said = "".join(service.tail(200_000) for service in stack.services)
        assert "prepared statement" not in said
        assert "role_without_limits" not in said
    finally:
        stack.stop()


async def test_limits_come_from_the_role_where_a_pooler_passes_no_settings(pooled: Database) -> None:
    await prepared(pooled)
    pool = await open_pool(pooled.url_feed, application_name="chorus feed", max_size=8)
    try:
        async with transaction(pool) as connection:
            assert await connection.fetchval("SHOW lock_timeout") == "2s"
            assert await connection.fetchval("SHOW statement_timeout") == "15s"
        # More of ours than servers, each asking twice: what the one prepared the other must not miss.
        asked = [pool.fetchval("SELECT count(*) FROM feed.post WHERE id > $1", number) for number in range(40)]
        assert await asyncio.gather(*asked) == [0] * 40
        connection = await postgres(pooled.url_feed)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    finally:
        await pool.close()


async def test_a_role_without_limits_is_said(pooled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    owner = await asyncpg.connect(pooled.url_direct)
    await owner.close()

    async def warned() -> bool:
        try:
            pool = await open_pool(pooled.url_notify, application_name="chorus-notify")
        except (OSError, asyncpg.PostgresError):
            return False
        await pool.close()
        return "role_without_limits" in capsys.readouterr().out

    await until(warned)


def test_the_sequencer_never_goes_through_the_pooler() -> None:
    with pytest.raises(SettingsError, match="CHORUS_DIRECT_DATABASE_URL must lead to Postgres itself"):
        load(FeedSettings, {"CHORUS_DATABASE_URL": "postgresql://chorus_feed@db:6432/chorus?pooler=transaction"})
    settings = load(
        FeedSettings,
        {
            "CHORUS_DATABASE_URL": "postgresql://chorus_feed@db:6432/chorus?pooler=transaction",
            "CHORUS_DIRECT_DATABASE_URL": "postgresql://chorus@db:5432/chorus",
        },
    )
    assert settings.postgres_direct() == "postgresql://chorus@db:5432/chorus"
    assert connecting(settings.database_url)["dsn"] == "postgresql://chorus_feed@db:6432/chorus"


def test_what_the_operator_s_page_says_of_limits_is_what_a_session_of_ours_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "PRODUCTION.md").read_text()
    for name, value in SERVER_SETTINGS.items():
        shown = value if value in ("on", "off") else f"'{value}'"
        assert f"ALTER ROLE chorus_feed IN DATABASE chorus SET {name} = {shown};" in page
