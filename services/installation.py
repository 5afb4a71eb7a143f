"""One data folder: who runs on it now, its secret, and what the running processes are reached by.

Everything an installation must keep lies here, and nothing about servers or services: they are told by settings.
"""

import contextlib
import fcntl
import json
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from services.embedded import gone, started_at
from shared.environment import is_given


class InUse(Exception):
    """Another `chorus up` runs on this data folder."""


class Unusable(Exception):
    """The data folder can't be made or written by this account."""


class Installation:
    """A data folder, held by this process until `release` or its death; `run.json` in it tells others."""

    def __init__(self, folder: Path, lock: IO[str]) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def hold(cls, folder: Path) -> "Installation":
        """Take the data folder, making it if need be. Raises InUse, naming who has it, and Unusable."""
        folder = folder.absolute()
        try:
            if not folder.exists():
                # Root's servers run under another account, which has to pass through to its own folder.
                folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True)
            lock = (folder / "lock").open("a")
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise Unusable(f"The data folder {folder} can't be written: {why}. Set CHORUS_DATA_DIR.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            running = read_run(folder)
            who = f"process {running['pid']}, {running['page_url']}" if running else "it is still starting"
            raise InUse(f"Chorus already runs on {folder} ({who}). Stop it, or set CHORUS_DATA_DIR.") from None
        return cls(folder, lock)

    def release(self) -> None:
        """Nobody runs here any more. Twice is safe."""
        (self.folder / "run.json").unlink(missing_ok=True)
        self._lock.close()

    @property
    def pid(self) -> int:
        """The process that holds the folder: this one."""
        return os.getpid()

    def process(self) -> dict[str, int | str | None]:
        """Who that is, for run.json."""
        return {"pid": self.pid, "started": started_at(self.pid)}

    def secret_key(self) -> str:
        """The key that signs tokens: made once, readable by the owner alone."""
        return self._kept("secret_key", lambda: secrets.token_urlsafe(48))

    def identity(self) -> str:
        """This installation's name: another one at the same path, later, has another."""
        return self._kept("install_id", lambda: secrets.token_hex(6))

    def tell(self, run: Mapping[str, Any]) -> None:
        """`run.json` holds this now; readers see the old or the new one, never half."""
        unfinished = self.folder / "run.json.new"
        with _private(unfinished) as file:
            json.dump(run, file, indent=2)
        unfinished.rename(self.folder / "run.json")

    def end_leftovers(self) -> list[str]:
        """End what a killed supervisor left running, by the pids in run.json when they are still those processes."""
        ended = []
        for name, process in (read_run(self.folder) or {}).get("processes", {}).items():
            pid, identity = process["pid"], process["started"]
            if identity is None or pid == os.getpid() or started_at(pid) != identity:
                continue
            for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
                if gone(pid, identity, seconds):
                    break
            ended.append(name)
        return ended

    def _kept(self, name: str, make: Any) -> str:
        path = self.folder / name
        if not path.exists():
            unfinished = path.with_suffix(".new")
            with _private(unfinished) as file:
                file.write(make())
            unfinished.rename(path)
        return path.read_text().strip()


def read_run(folder: Path) -> dict[str, Any] | None:
    """What run.json says; None when nothing runs there, or it can't be read."""
    try:
        run: dict[str, Any] = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        return None
    return run


def reachable(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command beside a running `chorus up`: what isn't set is filled in from its run.json."""
    folder = Path(environ.get("CHORUS_DATA_DIR", "").strip() or ".chorus")
    known: dict[str, str] = dict((read_run(folder) or {}).get("settings", {}))
    with contextlib.suppress(OSError):
        known["CHORUS_SECRET_KEY"] = (folder / "secret_key").read_text().strip()
    return {**environ, **{name: value for name, value in known.items() if not is_given(environ, name)}}


def _private(path: Path) -> IO[str]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
