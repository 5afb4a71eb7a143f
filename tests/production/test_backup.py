"""Backup and restore: one file, made while all runs; put back whole or not at all, under a new epoch."""

import asyncio
import io
import json
import signal
import subprocess
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from PIL import Image

from services.backup.census import REVISIONS, SCHEMAS
from services.backup.errors import Refused, ToolMissing
from services.backup.restoring import restore
from services.backup.tools import separated, tools_for
from services.backup.writing import write
from services.embedded import Postgres
from shared.postgres import migrate, open_pool
from shared.settings import Common, load
from tests.e2e.people import Member
from tests.eventlog.rig import Rig, until
from tests.production.commands import chorus, environment, start
from tests.servers import Database, fresh_database
from tests.stack import Stack


@pytest.fixture
async def rig(database: Database) -> AsyncIterator[Rig]:
    async with Rig(database, None) as rig:
        yield rig


async def test_a_backup_made_under_load_holds_one_moment_and_goes_into_an_empty_database(
    rig: Rig, database: Database, postgres_server: Postgres, tmp_path: Path
) -> None:
    async with rig.running():
        await rig.write(50)
        await rig.settle()

        async def write() -> None:
            while True:
                await rig.write(3)

        writing = asyncio.create_task(write())
        made = json.loads(await chorus(environment(database, tmp_path), "backup", str(tmp_path / "b.tar"), "--json"))
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    with fresh_database(postgres_server, "template0") as empty:
        env = environment(empty, tmp_path / "other")
        restored = json.loads(await chorus(env, "restore", str(tmp_path / "b.tar"), "--json"))
        assert restored["epoch"] > made["epoch"]
        assert restored["seq"][0] >= made["seq"][0] >= 50
        async with Rig(empty, None) as other, other.running():
            await other.settle()
            await other.check()
            await other.write(5)
            await other.settle()
            await other.check()
            assert (await other.head()).seq == restored["seq"][0] + 5


async def blocked_restore(rig: Rig, env: Mapping[str, str], file: Path) -> tuple[Any, "subprocess.Popen[str]", int]:
    """A restore that waits, in the middle of its transaction, for somebody who reads; and the pid of its session."""
    reader = await rig.connect(rig.database.url_direct)
    reading = reader.transaction()
    await reading.start()
    await reader.execute("SELECT count(*) FROM feed.account")
    process = start(env, "restore", str(file), "--replace")
    found: list[int] = []

    async def waits() -> bool:
        found[:] = [
            row[0]
            for row in await rig.pool.fetch(
                """SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%DROP SCHEMA%'
                   AND datname = current_database() AND pid <> pg_backend_pid()"""
            )
        ]
        return bool(found)

    await until(waits)
    return reading, process, found[0]


@pytest.mark.parametrize("fault", ["its session is ended", "it is killed"])
async def test_a_restore_that_breaks_half_way_leaves_all_as_it_was_and_a_repeat_mends_it(
    rig: Rig, database: Database, tmp_path: Path, fault: str
) -> None:
    env = environment(database, tmp_path)
    async with rig.running():
        await rig.write(5)
        await rig.settle()
    await chorus(env, "backup", str(tmp_path / "b.tar"))
    async with rig.running():
        await rig.write(7)
        await rig.settle()
    epoch = await rig.epoch()
    reading, process, session = await blocked_restore(rig, env, tmp_path / "b.tar")
    if fault == "it is killed":
        process.send_signal(signal.SIGKILL)
    else:
        await rig.pool.execute("SELECT pg_terminate_backend($1)", session)
    await reading.rollback()
    out, error = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == (-signal.SIGKILL if fault == "it is killed" else 1), out + error

    async def gone() -> bool:
        return not await rig.pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", session)

    await until(gone)
    assert (await rig.head()).seq == 12
    assert await rig.epoch() == epoch
    await rig.check()
    await chorus(env, "restore", str(tmp_path / "b.tar"), "--replace")
    assert (await rig.head()).seq == 5
    assert await rig.epoch() > epoch
    await rig.check()


async def test_photos_are_in_it_and_come_back(services: Stack, database: Database, tmp_path: Path) -> None:
    env = environment(database, tmp_path)
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(picture, "PNG")
    async with await Member.sign_up(services.url, "photo") as member:
        files = {"file": ("p.png", picture.getvalue(), "image/png")}
        photo = (await member.http.post("/v1/media", files=files, data={"alt": "A lantern."})).json()
        await member.post("Look.", media=[photo["id"]])
        small = photo["urls"]["small"]
        first = await member.http.get(small)
        await chorus(env, "backup", str(tmp_path / "b.tar"))
        for path in (tmp_path / "media").rglob("*.webp"):
            path.unlink()
        assert (await member.http.get(small)).status_code == 404
        await chorus(env, "restore", str(tmp_path / "b.tar"), "--replace")
        services.feed.wait_ready()

        async def is_back() -> bool:
            answer = await member.http.get(small)
            return answer.status_code == 200 and answer.content == first.content

        await until(is_back)


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """A copy of a backup in which `change(name, content)` gives each part's new content, None to leave it out."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            changed = change(member.name, content.read())
            if changed is not None:
                member.size = len(changed)
                new.addfile(member, io.BytesIO(changed))
    return target


def manifest_with(**changes: Any) -> Any:
    def change(name: str, content: bytes) -> bytes:
        if name != "manifest.json":
            return content
        return msgspec.json.encode({**msgspec.json.decode(content), **changes})

    return change


async def test_what_is_no_whole_backup_is_refused_before_anything_is_touched(
    rig: Rig, database: Database, tmp_path: Path
) -> None:
    env = environment(database, tmp_path)
    await chorus(env, "backup", str(tmp_path / "b.tar"))
    whole = tmp_path / "b.tar"
    (tmp_path / "text").write_text("not a backup")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:3000])
    with tarfile.open(whole) as tar:
        told = msgspec.json.decode(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    files = {
        "is no backup of Chorus": tmp_path / "text",
        "no backup of Chorus, or is cut short|has no manifest": cut,
        "is not what was written": rewritten(whole, tmp_path / "1", lambda n, c: c[:-1] + b"?" if "dump" in n else c),
        "database.dump is missing": rewritten(whole, tmp_path / "2", lambda n, c: None if "dump" in n else c),
        "written by a newer release": rewritten(whole, tmp_path / "3", manifest_with(format=2)),
        "which this release does not know": rewritten(
            whole, tmp_path / "4", manifest_with(census={**told["census"], "revision": "9999_later"})
        ),
        "set CHORUS_LOGS=2": rewritten(whole, tmp_path / "5", manifest_with(census={**told["census"], "seq": [0, 0]})),
        "this server is": rewritten(whole, tmp_path / "6", manifest_with(postgres=99)),
    }
    epoch = await rig.epoch()
    settings = load(Common, env)
    for sentence, target in (("is there already", whole), ("is no folder", tmp_path / "no" / "b.tar")):
        with pytest.raises(Refused, match=sentence):
            await write(settings, target, lambda *_: None)
    for sentence, file in files.items():
        with pytest.raises(Refused, match=sentence):
            await restore(settings, file, replace=False, report=lambda *_: None)
    assert "is no file" in await chorus(env, "restore", str(tmp_path / "nothing"), code=3)
    assert await rig.epoch() == epoch


async def test_an_older_release_s_backup_is_migrated_and_waits_until_the_services_have_stopped(
    database: Database, postgres_server: Postgres, tmp_path: Path
) -> None:
    with fresh_database(postgres_server, "template0") as older:
        await migrate(older.url_direct, to="0005_removals")
        made, manifest = await write(load(Common, environment(older, tmp_path)), tmp_path / "b.tar", lambda *_: None)
    assert manifest.census.revision == "0005_removals"
    settings = load(Common, environment(database, tmp_path))
    pool = await open_pool(database.url_feed, application_name="chorus feed")
    with pytest.raises(Refused, match="stop the services"):
        await restore(settings, made, replace=False, report=lambda *_: None)
    await pool.close()
    restored = await restore(settings, made, replace=False, report=lambda *_: None)
    assert restored.census.revision > "0008"
    assert restored.census.epoch > manifest.census.epoch
    assert restored.notes == []


def test_programs_that_lack_are_named_with_their_package() -> None:
    with pytest.raises(ToolMissing, match="apt-get install postgresql-client-99"):
        tools_for(99)


def test_a_password_is_never_on_a_command_line() -> None:
    url, env = separated("postgresql://me:hun%40ter2@db:5432/chorus?sslmode=require")
    assert (url, env) == ("postgresql://me@db:5432/chorus?sslmode=require", {"PGPASSWORD": "hun@ter2"})


async def test_a_backup_covers_every_schema_there_is(database: Database) -> None:
    connection = await asyncpg.connect(database.url_direct)
    rows = await connection.fetch(
        """SELECT DISTINCT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
           WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"""
    )
    public = await connection.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    await connection.close()
    assert {row[0] for row in rows} == {*SCHEMAS, "public"}
    assert {f"public.{row[0]}" for row in public} <= {REVISIONS, f"{REVISIONS}_pkc"}
