"""Which account runs the embedded servers, and which folders it can use.

Postgres refuses root, so root hands it to an account that already exists. Nothing here creates accounts or
touches the mode of a folder that it did not make: a path that the account can't cross is left, not opened.
"""

import os
import pwd
import subprocess
from pathlib import Path
from typing import NamedTuple

SYSTEM_FOLDER = Path("/var/lib/chorus")
"""Where root's servers live when their account can't enter the data folder: /var/tmp gets swept, this doesn't."""


class Account(NamedTuple):
    """An existing unprivileged account of this machine."""

    name: str
    uid: int
    gid: int


class Folder(NamedTuple):
    """Where the servers keep their files; `moved` says why it isn't inside the data folder (None: it is)."""

    path: Path
    moved: str | None


def server_account() -> Account | None:
    """Who runs the servers: None means "as whoever asks", which is right for everybody but root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(found.pw_name, found.pw_uid, found.pw_gid)
    return Account("65534", 65534, 65534)


def can_enter(account: Account | None, path: Path) -> bool:
    """Whether the account can reach the folder. Tried for real, so that access lists count too."""
    return tried(account, ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(path)]) is not None


def tried(account: Account | None, command: list[str]) -> str | None:
    """What the command prints when the account runs it; None when it can't, or it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - our own commands, no shell text from outside
            command,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def make_folder(path: Path, account: Account | None) -> Path:
    """The folder exists and is the account's alone; an existing one keeps its mode."""
    if not path.exists():
        path.mkdir(mode=0o700, parents=True)
    if account is not None and path.stat().st_uid != account.uid:
        os.chown(path, account.uid, account.gid)
    return path


def servers_folder(data_dir: Path, install: str) -> Folder:
    """A folder for the servers' files: inside the data folder, or apart when their account can't get there.

    `install` names this installation, so that two of them, or a fresh one at an old path, never share.
    """
    account = server_account()
    inside = data_dir / "servers"
    if account is None or can_enter(account, data_dir):
        return Folder(make_folder(inside, account), None)
    if not SYSTEM_FOLDER.exists():
        SYSTEM_FOLDER.mkdir(mode=0o755, parents=True)
    apart = make_folder(SYSTEM_FOLDER / install, account)
    return Folder(apart, f"the account {account.name} can't enter {data_dir}")
