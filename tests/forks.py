"""Services as forks of one process that has imported everything: an import a process was half of what the suite did.

A fork runs the same `chorus` command in the environment that it is given, and dies with pytest. It has nothing of the
process that it was forked from but its modules: that one has no loop, no thread and no setting.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from services.embedded import Child

IMPORTED = (
    "services.commands.feed",
    "services.commands.notify",
    "services.commands.sequencer",
    "services.feed.publish",
    "services.feed.serve",
    "services.notify.serve",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.lifespan.on",
    "uvloop",
)
_DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


class Fork(Child):
    """One running command: a Child that is no program of its own, and whose parent is asked what became of it."""

    def __init__(self, arguments: list[str], *, env: Mapping[str, str], output: Path) -> None:
        self._pid: int = _ask(arguments=arguments, env=dict(env), output=str(output))
        self._code: int | None = None

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        if self._code is None:
            self._code = _ask(ended=self._pid)
        return self._code

    def send(self, number: int) -> None:
        """Send a signal; to one that is gone: nothing happens."""
        if self.exit_code is None:
            os.kill(self._pid, number)  # not waited for yet, so the number is still its own

    def wait(self, seconds: float) -> bool:
        """Whether it ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.exit_code is not None


@cache
def _parent() -> tuple["subprocess.Popen[str]", Lock]:
    command = [sys.executable, "-m", "tests.forks", str(os.getpid())]
    root = Path(__file__).parent.parent
    pipe = subprocess.PIPE
    parent = subprocess.Popen(command, cwd=root, text=True, stdin=pipe, stdout=pipe, start_new_session=True)
    atexit.register(_end, parent)
    return parent, Lock()


def _end(parent: "subprocess.Popen[str]") -> None:
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.close()
    parent.wait()
    parent.stdout.close()


def _ask(**question: Any) -> Any:
    parent, turn = _parent()
    assert parent.stdin is not None
    assert parent.stdout is not None
    with turn:
        parent.stdin.write(json.dumps(question) + "\n")
        parent.stdin.flush()
        return json.loads(parent.stdout.readline())


def _leave_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _become(question: dict[str, Any], parent: int) -> list[str]:
    """What a fork does first. Gives its arguments."""
    os.setsid()
    _leave_with(parent)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(question["output"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(question["env"])
    random.seed()
    found: list[str] = question["arguments"]
    return found


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _serve() -> list[str] | None:
    """Forks and tells how forks ended, as asked on stdin; returns a fork's arguments in the fork, else None."""
    own = os.getpid()
    for line in sys.stdin:
        question = json.loads(line)
        if "ended" in question:
            answer = _ended(question["ended"])
        elif not (answer := os.fork()):
            return _become(question, own)
        print(json.dumps(answer), flush=True)
    return None


def _main() -> None:
    _leave_with(int(sys.argv[1]))
    for module in IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    if (arguments := _serve()) is not None:
        from services.cli import main

        main(arguments)


if __name__ == "__main__":
    _main()
