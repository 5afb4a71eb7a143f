"""Puts a backup back: all of it in one transaction, so that whatever happens half way the database is as it was.

Dropping, restoring and the new epoch commit together; a database beside, renamed at the end, were the other way, but it
takes the right to make databases, and ends every session first. Photos come before: their names are made from their
bytes, so one that nothing names is harmless. A repeat does it all again.
"""

import asyncio
import contextlib
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import IO, NamedTuple

import asyncpg

from services.backup.archive import CHUNK, DUMP, MEDIA, read_back
from services.backup.census import REVISIONS, SCHEMAS, census, is_empty
from services.backup.errors import Refused, ToolFailed
from services.backup.manifest import Census, Manifest
from services.backup.tools import Tools, separated, tools_for
from services.feed.storage import Storage
from services.progress import Report
from services.reaching import postgres
from shared import migrations
from shared.eventlog.stream import UNAVAILABLE, Stream
from shared.postgres import migrate
from shared.redis_client import open_redis
from shared.settings import Common

TRIES = 3
"""A live community's statements and ours may wait for each other; Postgres then ends one, and it may be ours."""

_OWNER = "CHORUS_DIRECT_DATABASE_URL, else CHORUS_DATABASE_URL,"
_SERVICES = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^chorus[ -]'"
)
_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name ~ '^chorus[ -]' AND pid <> pg_backend_pid()"""
_BEFORE = f"""
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN
    IF to_regrole('chorus_feed') IS NULL THEN CREATE ROLE chorus_feed NOLOGIN; END IF;
    IF to_regrole('chorus_notify') IS NULL THEN CREATE ROLE chorus_notify NOLOGIN; END IF;
END $$;
DROP SCHEMA IF EXISTS {", ".join(SCHEMAS)} CASCADE;
"""
_AFTER = """
CREATE TABLE IF NOT EXISTS {revisions} (version_num varchar(32) CONSTRAINT migration_pkc PRIMARY KEY);
DELETE FROM {revisions};
INSERT INTO {revisions} VALUES ('{revision}');
SELECT eventlog.open_epoch(NULL, {least}, 'restored from a backup of {at}');
SELECT eventlog.number_by_joining((SELECT max(epoch) FROM eventlog.log));
COMMIT;
"""
_KEEP_NAME = "UPDATE eventlog.installation SET id = '{id}';"
_NEWER_THAN_16 = b"SET transaction_timeout = 0;"


class Restored(NamedTuple):
    """What is here now; `notes` are sentences on what is left to do."""

    manifest: Manifest
    census: Census
    notes: list[str]


async def restore(settings: Common, file: Path, *, replace: bool, report: Report) -> Restored:
    """The database is as the backup has it, under a new epoch and the newest schema, and its photos are there.

    Raises Refused before anything was changed, ToolMissing, ToolFailed, Unreachable; then the database is as it was.
    """
    if not await asyncio.to_thread(file.is_file):
        raise Refused(f"{file} is no file.")
    manifest = await asyncio.to_thread(read_back, file, report)
    _check_release(manifest, file)
    url, notes = settings.postgres_direct(), list[str]()
    connection = await postgres(url, _OWNER)
    try:
        major = connection.get_server_version().major
        tools = tools_for(major, archive_major=int(manifest.tools.split(".")[0]))
        here = await census(connection)
        _check_place(settings, manifest, major, here, replace=replace)
        running = await connection.fetchval(_SERVICES)
        if running and manifest.census.revision != _revisions()[0]:
            raise Refused(
                f"The backup has the schema of an older release ({manifest.census.revision}): stop the services, which "
                "expect this one's, restore, and start them again."
            )
    finally:
        await connection.close()
    least = max(here.epoch if here else 0, await _epoch_of_redis(settings, notes))
    await _photos(settings, manifest, file, report, notes)
    after = _AFTER.format(least=least, at=manifest.at, revisions=REVISIONS, revision=manifest.census.revision)
    if here is not None:  # this place keeps its name: its Redis bears it, and its cookies
        after = _KEEP_NAME.format(id=here.installation) + after
    report("restore", 0, 1)
    for left in range(TRIES - 1, -1, -1):
        said = await asyncio.to_thread(_run, tools, url, file, after, major)
        if said is None:
            break
        if not left or not ("deadlock detected" in said or "lock timeout" in said):
            raise ToolFailed(f"The database is as it was; Postgres says: {said}")
    report("restore", 1, 1)
    await migrate(url)
    found = await _verify(url, manifest)
    if running:
        notes += await _end_sessions(url)
    return Restored(manifest, found, notes)


def _check_release(manifest: Manifest, file: Path) -> None:
    if manifest.census.revision not in _revisions():
        raise Refused(
            f"{file} has schema {manifest.census.revision}, which this release does not know: restore it with "
            f"release {manifest.release}, or a newer one."
        )


def _revisions() -> list[str]:
    """What this release's schema went through, newest first."""
    from alembic.script import ScriptDirectory

    return [step.revision for step in ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()]


def _check_place(settings: Common, manifest: Manifest, major: int, here: Census | None, *, replace: bool) -> None:
    if major < manifest.postgres:
        raise Refused(f"The backup is of PostgreSQL {manifest.postgres}, and this server is {major}: take a newer one.")
    if (logs := len(manifest.census.seq)) != settings.logs:
        raise Refused(f"The backup has {logs} logs for good: set CHORUS_LOGS={logs}.")
    if here is not None and not is_empty(here) and not replace:
        raise Refused(
            f"This database holds {here.accounts:,} accounts, {here.posts:,} posts and {here.notifications:,} "
            "notifications, which would be gone. Back it up, then say --replace."
        )


async def _epoch_of_redis(settings: Common, notes: list[str]) -> int:
    """The greatest epoch that Redis shows: the new one is to be greater, whatever became of Postgres."""
    if not settings.redis_url:
        return 0
    redis = open_redis(settings.redis_address())
    try:
        ends = [await Stream(redis, log).last() for log in range(settings.logs)]
        return max((end.epoch for end in ends if end is not None), default=0)
    except UNAVAILABLE:
        notes.append("Redis does not answer; the sequencer compares with it when it does.")
        return 0
    finally:
        with contextlib.suppress(*UNAVAILABLE):
            await redis.aclose()


async def _photos(settings: Common, manifest: Manifest, file: Path, report: Report, notes: list[str]) -> None:
    if manifest.media_url:
        notes.append(f"Photos are not in this backup: they have to be at {manifest.media_url}, as of {manifest.at}.")
        return
    storage = Storage.of(settings)
    names = [part.name for part in manifest.parts if part.name.startswith(f"{MEDIA}/")]
    with tarfile.open(file) as tar:
        for done, name in enumerate(names, 1):
            content, key = tar.extractfile(name), name.removeprefix(f"{MEDIA}/")
            if content is None or ".." in key.split("/"):
                raise Refused(f"{file} holds {name}, which is no photo's name.")
            await storage.put(key, content.read())
            report("photos", done, len(names))


def _run(tools: Tools, url: str, file: Path, after: str, major: int) -> str | None:
    """None when it is committed; otherwise what the programs said. COMMIT is sent when pg_restore has ended well, so
    that a stream cut short anywhere rolls all of it back."""
    where, password = separated(url)
    with tarfile.open(file) as tar, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
        dump = tar.extractfile(DUMP)
        assert dump is not None  # noqa: S101 - read_back has seen it
        quiet = ["-X", "-q", "-v", "ON_ERROR_STOP=1", f"--dbname={where}"]
        psql = tools.popen("psql", *quiet, stdin=subprocess.PIPE, stdout=told, stderr=said, **password)
        reader = tools.popen(
            "pg_restore", "--no-owner", "--file=-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        )
        to_psql, to_reader, script = psql.stdin, reader.stdin, reader.stdout
        assert to_psql is not None  # noqa: S101 - pipes, all three
        assert to_reader is not None  # noqa: S101
        assert script is not None  # noqa: S101
        feeding = threading.Thread(target=_copy, args=(dump, to_reader))
        feeding.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                to_psql.write(_BEFORE.encode())
                _copy_script(script, to_psql, older=major < 17)
                if reader.wait() == 0:
                    to_psql.write(after.encode())
            with contextlib.suppress(BrokenPipeError):
                to_psql.close()
            code = psql.wait()
        finally:
            for process in (reader, psql):
                if process.poll() is None:
                    process.kill()
                process.wait()
            script.close()
            feeding.join()
        if code == 0 and reader.returncode == 0:
            return None
        said.seek(0)
        return said.read()[-800:].decode(errors="replace").strip() or "nothing"


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError), target:
        while piece := source.read(CHUNK):
            target.write(piece)


def _copy_script(source: IO[bytes], target: IO[bytes], *, older: bool) -> None:
    """What pg_restore writes, without what it says to newer servers alone: that stands in its first lines."""
    head = source.read(4096)
    target.write(head.replace(_NEWER_THAN_16, b"") if older else head)
    while piece := source.read(CHUNK):
        target.write(piece)


async def _verify(url: str, manifest: Manifest) -> Census:
    connection = await postgres(url, _OWNER)
    try:
        found = await census(connection)
    finally:
        await connection.close()
    was = manifest.census
    if found is None or found.epoch <= was.epoch:
        raise ToolFailed("The restored database is in no new epoch: run the command again.")
    return found


async def _end_sessions(url: str) -> list[str]:
    """Services that ran meanwhile begin anew: what their sessions remember of the schema is of the one that is gone."""
    connection = await postgres(url, _OWNER)
    try:
        await connection.execute(_OTHERS)
    except asyncpg.InsufficientPrivilegeError:
        return ["Restart feed, notify and sequencer: this role may not end their sessions."]
    finally:
        await connection.close()
    return []
