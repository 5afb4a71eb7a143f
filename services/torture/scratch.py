"""The scratch folder of one run: everything that its servers and services write is in it."""

import shutil
import tempfile
from pathlib import Path

PREFIX = "chorus-torture-"


def make() -> Path:
    """An empty folder that the servers' account may pass through."""
    # Not /tmp, which is often memory: a data folder is copied here, and logs grow for hours.
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/var/tmp"))
    folder.chmod(0o711)
    return folder


def clear(folder: Path, *, keep_logs: bool) -> None:
    """Removes it; or all of it but what servers and services said, which lies straight in it then. Twice is safe.

    Raises ValueError for a folder that is none of ours: "" is where one stands.
    """
    if not folder.name.startswith(PREFIX):
        raise ValueError(f"{folder} is no scratch folder")
    if not keep_logs:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for log in folder.glob("*/*.log"):
        log.rename(folder / f"{log.parent.name}.log")
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".log":
            path.unlink()
