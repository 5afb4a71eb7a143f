"""One embedded Postgres: made once, started, found ready, stopped.

It listens on a Unix socket alone, in a folder that only its account and root can enter, hence `trust`.
Ready means that *our* child wrote "ready" into *our* data folder: a port that answers may be somebody else's.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from services.embedded.account import make_folder, server_account
from services.embedded.engines import Engine, EngineUnavailable, postgres_engine
from services.embedded.leash import Child, gone, started_at
from services.embedded.readiness import await_ready, end_of
from services.embedded.sockets import socket_folder

PORT = 5432  # names the socket file only: nothing listens on TCP

_MAKE = """CREATE DATABASE chorus;
CREATE ROLE chorus_feed LOGIN;
CREATE ROLE chorus_notify LOGIN;
"""

_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "jit": "off",  # every query here is short: compiling one costs more than running it
}

_HASTY = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "10min"}


class Postgres:
    """A Postgres in `folder`, with database and superuser `chorus` and logins `chorus_feed`, `chorus_notify`.

    `durable=False` is for tests: a crash of the machine may lose the lot. `settings` go in as `-c` options.
    Raises EngineUnavailable, with a sentence for a person, when it can't be made or started.
    """

    def __init__(self, folder: Path, *, durable: bool = True, settings: dict[str, str] | None = None) -> None:
        self._account = server_account()
        self._folder = make_folder(folder, self._account)
        self._durable = durable
        self._settings = _SETTINGS | ({} if durable else _HASTY) | (settings or {})
        self._child: Child | None = None
        self._sockets = socket_folder(self._folder, self._account)
        self.log = self._folder / "postgres.log"
        self.data = self._folder / "data"
        self.engine: Engine = postgres_engine(self._account, self._folder)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def url(self, role: str = "chorus", database: str = "chorus") -> str:
        """A libpq address over the Unix socket, the same after every restart of this object."""
        return f"postgresql://{role}@/{database}?host={quote(str(self._sockets), safe='')}&port={PORT}"

    def start(self, timeout: float = 60) -> None:
        """Launched, and taking connections within `timeout` seconds (crash recovery included)."""
        self.launch()
        await_ready(self, timeout)

    def launch(self) -> None:
        """Make the data folder if need be (half a second) and start; not ready yet. Running: nothing happens."""
        if self.running:
            return
        if not self.data.exists():
            self._make()
        self._check_version()
        self._clear_leftover()
        socket_folder(self._folder, self._account)
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.engine.program), "-D", str(self.data), "-k", str(self._sockets), *options]
        with self.log.open("ab") as log:
            self._child = Child(command, account=self._account, last_wish=signal.SIGINT, output=log, cwd=self._folder)

    def ready(self) -> bool:
        """Whether it takes connections. Raises EngineUnavailable, with the end of its log, when it has ended."""
        if self._child is None or self._child.exit_code is not None:
            raise EngineUnavailable(f"Postgres did not start; the end of {self.log}: {end_of(self.log)}")
        return _says_ready(self.data / "postmaster.pid", self._child.pid)

    def stop(self, grace: float = 10) -> None:
        """Ended, and safely: SIGINT breaks off sessions, SIGTERM would wait for them; SIGQUIT after `grace` seconds."""
        if self._child is not None:
            self._child.end((signal.SIGINT, grace), (signal.SIGQUIT, 2))
            self._child = None
        if self._sockets.parent != self._folder:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def send(self, number: int) -> None:
        """Send a signal to the server: for tests that stop, wake or kill it."""
        if self._child is not None:
            self._child.send(number)
            if number == signal.SIGKILL:
                self._child.wait(5)

    def _make(self) -> None:
        """initdb beside, then renamed: a half-made data folder never looks like a whole one."""
        if self._account is None and not _has_a_name(os.geteuid()):
            raise EngineUnavailable(
                f"Postgres can't be made by user {os.geteuid()}, which has no entry in the system's list of users: "
                "run Chorus as one that has, or set CHORUS_DATABASE_URL."
            )
        new = self.data.with_name("data.new")
        shutil.rmtree(new, ignore_errors=True)
        tool = str(self.engine.program.with_name("initdb"))
        common = [tool, "-D", str(new), "-U", "chorus", "-A", "trust", "-E", "UTF8", "--no-instructions"]
        common += [] if self._durable else ["--no-sync"]
        said = self._run([*common, "--locale=C.UTF-8"])
        if said is not None:  # an old libc without C.UTF-8
            shutil.rmtree(new, ignore_errors=True)
            said = self._run([*common, "--locale=C"])
        if said is None:
            # Single-user mode takes a statement a line and needs no server, so no client and no second start.
            single = [str(self.engine.program), "--single", "-D", str(new), "template1"]
            said = self._run(single, _MAKE)
        if said is not None:
            raise EngineUnavailable(f"Postgres could not make {new}: {said.strip()[-800:]}")
        new.rename(self.data)

    def _run(self, command: list[str], text: str | None = None) -> str | None:
        """None when the tool succeeded, else what it said."""
        account = self._account
        done = subprocess.run(  # noqa: S603 - binaries that we chose
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=self._folder,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
        )
        return None if done.returncode == 0 and "ERROR:" not in done.stdout else done.stdout or "no output"

    def _check_version(self) -> None:
        written = int((self.data / "PG_VERSION").read_text().strip())
        if written != self.engine.major:
            raise EngineUnavailable(
                f"{self.data} was written by PostgreSQL {written}; found is {self.engine}. Dump it with the old "
                "one, or choose another CHORUS_DATA_DIR."
            )

    def _clear_leftover(self) -> None:
        """End a server that a killed parent left in this folder, and drop a stale pid file whose number was reused."""
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            identity = started_at(pid)
            if identity is None:
                return  # Postgres itself sees through a pid of nobody
            if _works_in(pid, self.data):
                os.kill(pid, signal.SIGINT)
                if not gone(pid, identity, 10):
                    os.kill(pid, signal.SIGQUIT)
                    gone(pid, identity, 5)
            else:
                pid_file.unlink()


def _has_a_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _says_ready(pid_file: Path, pid: int) -> bool:
    """The postmaster writes its pid first and its state on the eighth line (what pg_ctl waits for)."""
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _works_in(pid: int, folder: Path) -> bool:
    """Whether that process is a server of this data folder: a postmaster works inside its own."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
    except OSError:
        return False
