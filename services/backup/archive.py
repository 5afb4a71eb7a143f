"""The file of a backup: a tar whose manifest says what each part is: damage is found before anything is done."""

import errno
import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import IO

import msgspec

from services.backup.errors import Refused
from services.backup.manifest import FORMAT, Manifest, Part
from services.progress import Report
from shared import clock

MANIFEST, DUMP, MEDIA = "manifest.json", "database.dump", "media"
CHUNK = 1 << 20


def read_back(file: Path, report: Report) -> Manifest:
    """The manifest, once every part has been read and is what it says. Raises Refused."""
    try:
        with tarfile.open(file) as tar:
            manifest = _manifest(tar, file)
            expected = {part.name: part for part in manifest.parts}
            done = 0
            for member in tar:
                if member.name == MANIFEST:
                    continue
                part = expected.pop(member.name, None)
                content = tar.extractfile(member)
                if part is None or content is None or member.size != part.size or digest(content) != part.sha256:
                    raise Refused(f"{file} is damaged: {member.name} is not what was written.")
                report("verify", done := done + 1, len(manifest.parts))
            if expected:
                raise Refused(f"{file} is cut short: {next(iter(expected))} is missing, of {len(expected)}.")
            return manifest
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"{file} is no backup of Chorus, or is cut short: {error}.") from error


def digest(content: IO[bytes]) -> str:
    """Its sha256 in hex, to the end."""
    found = hashlib.sha256()
    while piece := content.read(CHUNK):
        found.update(piece)
    return found.hexdigest()


def _manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    try:
        content = tar.extractfile(MANIFEST)
        assert content is not None  # noqa: S101 - a folder of that name: none of ours
        manifest = msgspec.json.decode(content.read(), type=Manifest)
    except (KeyError, AssertionError, msgspec.MsgspecError) as error:
        raise Refused(f"{file} is no backup of Chorus: it has no manifest that can be read.") from error
    if manifest.format > FORMAT:
        raise Refused(f"{file} was written by a newer release ({manifest.release}): restore it with that.")
    return manifest


def add(tar: tarfile.TarFile, path: Path, name: str) -> Part:
    with path.open("rb") as content:
        sha256, size = digest(content), content.tell()
        content.seek(0)
        _member(tar, name, size, content)
    return Part(name=name, size=size, sha256=sha256)


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    _member(tar, name, len(content), io.BytesIO(content))


def _member(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(clock.unix())
    tar.addfile(member, content)


def give_name(finished: Path, target: Path) -> None:
    """On disk first, then under its name: half a backup never has one. Readable by its owner alone."""
    finished.chmod(0o600)
    with finished.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(finished, target)  # unlike a rename, refuses to replace what came in between
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        finished.rename(target)
    folder = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
