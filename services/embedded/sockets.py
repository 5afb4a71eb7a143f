"""Where a server's Unix socket goes: a socket's address holds 107 bytes, and data folders can be deep."""

import hashlib
import os
import stat
from pathlib import Path

from services.embedded.account import Account, make_folder
from services.embedded.engines import EngineUnavailable

LONGEST_ADDRESS = 107  # sun_path is 108 bytes with its closing zero
_ROOM = len("/.s.PGSQL.65432")


def socket_folder(folder: Path, account: Account | None) -> Path:
    """A private folder short enough for a socket: inside `folder`, or one under /tmp named after it.

    The same answer every time, so addresses survive restarts and a killed parent leaves nothing that piles up.
    Raises EngineUnavailable when somebody else sits on the name under /tmp.
    """
    inside = folder / "socket"
    if len(os.fsencode(inside)) + _ROOM <= LONGEST_ADDRESS:
        return make_folder(inside, account)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    short = Path("/tmp") / f"chorus-{name}"  # noqa: S108 - made 0700, and its owner is checked
    owner = account.uid if account else os.geteuid()
    try:
        short.mkdir(mode=0o700)
    except FileExistsError:
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise EngineUnavailable(f"{short} belongs to somebody else; choose a shorter CHORUS_DATA_DIR.") from None
    return make_folder(short, account)
