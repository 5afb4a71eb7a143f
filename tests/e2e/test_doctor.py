"""`chorus doctor` on real servers: quiet when all is well, and for each thing that is not, what and what to do."""

import json
import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from services.doctor.database import postgres_found
from services.doctor.finding import Finding
from services.doctor.machine import disk_found, proxy_found, run_found, settings_found
from services.doctor.stream import redis_found
from services.embedded import Postgres
from shared import disk
from shared.settings import Common
from tests.e2e.test_refusals import chorus
from tests.servers import Database, fresh_database
from tests.stack import SECRET, Stack

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def at(database: Database) -> Common:
    return Common(
        database_url=database.url_feed, notify_database_url=database.url_notify, direct_database_url=database.url_direct
    )


def wrong(findings: list[Finding]) -> dict[str, str]:
    """What is not well, each with what is said of it; everything bad says what to do."""
    assert all(finding.do for finding in findings if not finding.ok)
    return {finding.what: finding.found for finding in findings if not finding.ok}


@pytest.fixture
async def direct(database: Database) -> AsyncIterator[Session]:
    connection = await asyncpg.connect(database.url_direct)
    yield connection
    await connection.close()


async def append(direct: Session, *, numbered: bool = True) -> None:
    await direct.execute("SELECT eventlog.append('7', 'x', '{post:7}', '{}')")
    if numbered:
        async with direct.transaction(isolation="repeatable_read"):
            await direct.execute("SELECT eventlog.number(0::smallint, (SELECT epoch FROM eventlog.head), 0)")


async def test_a_running_stack_is_well(services: Stack, database: Database, redis_url: str, tmp_path: Path) -> None:
    settings = at(database)
    findings, installation, logs = await postgres_found(settings)
    findings += await redis_found(redis_url, installation, logs)
    assert wrong(findings) == {}
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"{services.url}/metrics")).text
    assert re.search(r'^chorus_disk_free_bytes\{folder="/.+"\} [0-9.e+]+$', metrics, re.M)
    urls = {"DATABASE_URL": settings.database_url, "NOTIFY_DATABASE_URL": settings.notify_database_url}
    done = chorus(tmp_path, "doctor", "--json", **urls, DIRECT_DATABASE_URL=settings.direct_database_url)
    assert done.returncode == 0, done.stdout
    names = {finding["what"] for finding in json.loads(done.stdout)}
    assert {"settings", "disk", "clock", "log 0", "partitions", "dead letters", "disk of postgres"} <= names


async def test_a_log_that_nobody_numbers_and_that_nobody_follows_is_named(database: Database, direct: Session) -> None:
    await append(direct, numbered=False)
    found = wrong((await postgres_found(at(database)))[0])
    assert set(found) == {"log 0", "consumers"}
    assert "1 waiting for a number; nobody numbers it" in found["log 0"]


async def test_a_consumer_that_stands_still_is_named_and_one_that_just_met_an_event_is_not(
    database: Database, direct: Session
) -> None:
    await direct.execute("SELECT eventlog.consumer_passed('mailer', 0::smallint, 0)")
    await append(direct)
    assert "consumer mailer" not in wrong((await postgres_found(at(database)))[0])
    await direct.execute("UPDATE eventlog.entry SET numbered_at = numbered_at - interval '1 hour'")
    assert "1 behind" in wrong((await postgres_found(at(database)))[0])["consumer mailer"]


async def test_days_that_nobody_makes_are_named_long_before_they_are_needed(
    database: Database, direct: Session
) -> None:
    today = await direct.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    for ahead in range(2, 8):
        day = f"{today + timedelta(days=ahead):%Y%m%d}"
        await direct.execute(f"DROP TABLE eventlog.event_{day}, eventlog.entry_{day}")
    await direct.execute(
        "INSERT INTO eventlog.event (log, type, channels, payload, at)"
        " VALUES (0, 'x', '{}', '{}', now() + interval '9 days')"
    )
    found = wrong((await postgres_found(at(database)))[0])
    assert "1 made ahead, of 7" in found["partitions"]
    assert found["default partition"] == "not empty"


async def test_dead_letters_are_told_by_name_with_their_error(database: Database, direct: Session) -> None:
    await direct.execute(
        "INSERT INTO notify.dead_letter SELECT 0, n, n, 'comment.created', '', '{}', 'no such field', now()"
        " FROM generate_series(1, 2) n"
    )
    found = wrong((await postgres_found(at(database)))[0])["dead letter comment.created"]
    assert found.startswith("2 since ")
    assert found.endswith("the first at 1: no such field")


async def test_roles_that_may_not_do_their_work_are_told_apart(database: Database) -> None:
    swapped = Common(
        database_url=database.url_notify, notify_database_url=database.url_feed, direct_database_url=database.url_direct
    )
    found = wrong((await postgres_found(swapped))[0])
    assert {"role of feed", "role of notify"} <= set(found)
    owner = wrong((await postgres_found(Common(database_url=database.url_feed)))[0])
    assert list(owner) == ["schema"]


async def test_an_empty_database_and_an_absent_one_say_what_to_do(postgres_server: Postgres) -> None:
    with fresh_database(postgres_server, "template1") as empty:
        [finding] = (await postgres_found(at(empty)))[0]
        assert (finding.what, finding.do) == ("schema", "Run `chorus migrate`.")
    away = Common(database_url="postgresql://me:hunter2@127.0.0.1:1/chorus")
    findings = (await postgres_found(away))[0]
    assert len(wrong(findings)) == 3
    assert "hunter2" not in str(findings)


async def test_a_redis_that_is_not_ours_that_evicts_or_is_behind_is_named(redis_url: str) -> None:
    logs: dict[int, Any] = {0: {"head": 5, "epoch": 7}}
    async with Redis.from_url(redis_url) as redis:
        assert "through nothing, 5 behind" in wrong(await redis_found(redis_url, "us", logs))["stream chorus:log:{0}"]
        await redis.xadd("chorus:log:{0}", {"i": "1"}, id="7-5")
        assert wrong(await redis_found(redis_url, "us", logs)) == {}
        try:
            await redis.config_set("maxmemory", "1gb")
            await redis.config_set("maxmemory-policy", "allkeys-lru")
            assert "redis memory" in wrong(await redis_found(redis_url, "us", logs))
        finally:
            await redis.config_set("maxmemory", 0)
            await redis.config_set("maxmemory-policy", "noeviction")
        await redis.set("chorus:install:{0}", "them")
        assert "another installation" in str(wrong(await redis_found(redis_url, "us", logs)))
    assert "refused" in wrong(await redis_found("redis://127.0.0.1:1", None, {}))["redis"]


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant() -> None:
    [finding] = settings_found({"CHORUS_REDISURL": "redis://localhost"})
    assert finding.do == "Did you mean CHORUS_REDIS_URL?"


def test_callers_that_cannot_be_told_apart_are_named() -> None:
    behind = Common(public_url="https://chorus.example")
    assert "all callers share one limit" in wrong(proxy_found(behind))["proxy"]
    assert wrong(proxy_found(Common(public_url="https://chorus.example", trusted_proxies=("10.0.0.1",)))) == {}
    assert proxy_found(Common()) == []


def test_a_run_that_was_killed_is_told_from_one_that_runs(tmp_path: Path) -> None:
    ended = {"pid": os.getpid(), "started": "another boot/1"}
    (tmp_path / "run.json").write_text(json.dumps({"pid": os.getpid(), "processes": {"chorus": ended}}))
    assert "was killed" in wrong(run_found(Common(data_dir=str(tmp_path), secret_key=SECRET)))["data folder"]


def test_a_disk_that_runs_full_is_shouted_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk_found("disk", tmp_path / "not" / "made").found.endswith("GiB free")
    monkeypatch.setattr("services.doctor.machine.space", lambda _: disk.Space(free=5 * disk.GIB, size=100 * disk.GIB))
    assert "5.0 of 100.0 GiB free" in wrong([disk_found("disk", tmp_path)])["disk"]
    assert disk.Space(free=30 * disk.GIB, size=1000 * disk.GIB).low is False
    assert disk.Space(free=3 * disk.GIB, size=8 * disk.GIB).low is False
