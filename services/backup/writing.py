"""Writes a backup: pg_dump's custom format and the photos in one tar, read back before it gets its name.

Everything runs on meanwhile: the dump is of one snapshot, which the counts in the manifest share. A photo's bytes are
written once under a name made from them, so they are taken before the dump, and what came meanwhile after it.
"""

import asyncio
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import asyncpg
import msgspec

from services.backup.archive import DUMP, MANIFEST, MEDIA, add, add_bytes, give_name, read_back
from services.backup.census import SCHEMAS, census
from services.backup.errors import Refused, ToolFailed
from services.backup.manifest import FORMAT, Census, Manifest, Part
from services.backup.tools import Tools, separated, tools_for
from services.progress import Report
from services.reaching import postgres
from shared import clock
from shared.settings import Common

LOCK_WAIT = "60s"
"""How long pg_dump waits for a table that a migration holds."""


async def write(settings: Common, target: Path, report: Report) -> tuple[Path, Manifest]:
    """The backup's file, whole and verified, and what it says of itself. `target` may be a folder.

    Raises Refused, ToolMissing, ToolFailed, Unreachable.
    """
    url = settings.postgres_direct()
    connection = await postgres(url, "CHORUS_DIRECT_DATABASE_URL, else CHORUS_DATABASE_URL,")
    try:
        major = connection.get_server_version().major
        tools = tools_for(major)
        at = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        target = _named(target, at)
        with _beside(target) as folder:
            media = Path(settings.data_dir) / MEDIA if not settings.media_url else None
            parts: list[Part] = []
            with tarfile.open(folder / "tar", "w", format=tarfile.PAX_FORMAT) as tar:
                _add_photos(tar, media, parts, report)
                found = await _dump(connection, url, tools, folder / DUMP, report)
                _check_dump(tools, folder / DUMP)
                parts.append(add(tar, folder / DUMP, DUMP))
                (folder / DUMP).unlink()
                _add_photos(tar, media, parts, report)
                manifest = Manifest(
                    format=FORMAT,
                    release=version("chorus"),
                    at=at,
                    postgres=major,
                    tools=tools.version,
                    media_url=settings.media_url,
                    census=found,
                    parts=parts,
                )
                add_bytes(tar, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            read_back(folder / "tar", report)
            give_name(folder / "tar", target)
        return target, manifest
    finally:
        await connection.close()


def _named(target: Path, at: str) -> Path:
    if target.is_dir():
        target = target / f"chorus-{at.replace(':', '').replace('-', '')}.tar"
    if target.exists():
        raise Refused(f"{target} is there already: a backup is not written over another.")
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder of ours alone on the target's disk, gone afterwards, whatever happens."""
    try:
        with tempfile.TemporaryDirectory(prefix=".chorus-backup-", dir=target.absolute().parent) as folder:
            yield Path(folder)
    except FileNotFoundError as error:
        if not target.absolute().parent.exists():
            raise Refused(f"{target.absolute().parent} is no folder.") from error
        raise


async def _dump(
    connection: "asyncpg.Connection[asyncpg.Record]", url: str, tools: Tools, file: Path, report: Report
) -> Census:
    report("dump", 0, 1)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        found = await census(connection)
        if found is None:
            raise Refused(
                "This database has no schema of Chorus: there is nothing to keep. Look at CHORUS_DATABASE_URL."
            )
        snapshot: str = await connection.fetchval("SELECT pg_export_snapshot()")
        where, password = separated(url)
        command = ["--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}"]
        command += [f"--schema={schema}" for schema in SCHEMAS] + [f"--file={file}"]
        await _run(tools, "pg_dump", [*command, f"--dbname={where}"], password)
    report("dump", 1, 1)
    return found


def _check_dump(tools: Tools, file: Path) -> None:
    """Its table of contents names the tables, and the whole of it can be read again."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as listed:
        for arguments, out in ((["--list"], listed), (["--file=/dev/null"], said)):
            process = tools.popen(
                "pg_restore", *arguments, str(file), stdin=subprocess.DEVNULL, stdout=out, stderr=said
            )
            if process.wait() != 0:
                raise ToolFailed(f"pg_restore can't read what pg_dump wrote: {_end(said)}")
        listed.seek(0)
        if b" TABLE DATA eventlog " not in listed.read():
            raise ToolFailed("The dump holds no rows of the log. Is CHORUS_DIRECT_DATABASE_URL the schema's owner?")


async def _run(tools: Tools, name: str, arguments: list[str], env: Any) -> None:
    with tempfile.TemporaryFile() as said:
        process = tools.popen(name, *arguments, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **env)
        try:
            code = await asyncio.to_thread(process.wait)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if code != 0:
            raise ToolFailed(f"{name} gave up: {_end(said)}")


def _end(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read()[-800:].decode(errors="replace").strip()


def _add_photos(tar: tarfile.TarFile, media: Path | None, parts: list[Part], report: Report) -> None:
    """Those that are not in it yet. One that is removed meanwhile belongs to nothing that the dump holds for long."""
    if media is None or not media.is_dir():
        return
    there = {part.name for part in parts}
    files = sorted(path for path in media.rglob("*") if path.is_file() and "#" not in path.name)  # '#': being written
    for done, path in enumerate(files, 1):
        name = f"{MEDIA}/{path.relative_to(media).as_posix()}"
        if name not in there:
            try:
                parts.append(add(tar, path, name))
            except FileNotFoundError:
                continue
        report("photos", done, len(files))
