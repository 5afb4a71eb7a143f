"""Child processes that can't outlive their parent.

A tiny launcher asks the kernel for a signal at the parent's death, then becomes the program: the pid stays. It
is a program and no `preexec_fn`, which isn't safe beside threads; and it changes account before it asks, since the
kernel forgets the wish when the account changes. Start children from the main thread: the wish is bound to it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from services.embedded.account import Account
from shared import clock

_LAUNCHER = """
import os, sys
parent, wish, uid, gid = map(int, sys.argv[1:5])
try:
    import ctypes
    ask = ctypes.CDLL(None).prctl
except (ImportError, OSError, AttributeError):
    ask = None
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if ask is not None:
    ask(1, wish)
if os.getppid() != parent:
    os._exit(1)
os.execv(sys.argv[5], sys.argv[5:])
"""


def leashed(command: list[str], account: Account | None = None, *, last_wish: int = signal.SIGTERM) -> list[str]:
    """The command line that runs `command` (a full path first) and gets `last_wish` when this process dies."""
    who = (str(account.uid), str(account.gid)) if account else ("-1", "-1")
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(int(last_wish)), *who, *command]


class Child:
    """A running program on a leash, in a session of its own: the terminal's Ctrl-C reaches only the parent."""

    def __init__(
        self,
        command: list[str],
        *,
        account: Account | None = None,
        last_wish: int = signal.SIGTERM,
        output: IO[bytes] | int | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            leashed(command, account, last_wish=last_wish),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdout(self) -> IO[bytes] | None:
        return self._process.stdout

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send a signal; to a child that is gone: nothing happens."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def end(self, *steps: tuple[int, float]) -> None:
        """Send each signal in turn, each with seconds to obey; SIGKILL after the last. Twice is safe."""
        for number, seconds in steps:
            if self.exit_code is not None:
                return
            self.send(signal.SIGCONT)  # a stopped process would sit on the signal
            self.send(number)
            if self.wait(seconds):
                return
        self.send(signal.SIGKILL)
        self.wait(5)


def started_at(pid: int) -> str | None:
    """An identity for a pid: boot and start tick, so that a reused number isn't taken for the old process.

    None when there is no such process, or the system has no /proc.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] == "Z" else f"{boot}/{fields[19]}"


def gone(pid: int, identity: str, seconds: float) -> bool:
    """Whether the process of that identity is gone within `seconds`; for processes that aren't our children."""
    deadline = clock.monotonic() + seconds
    while started_at(pid) == identity:
        if clock.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
