"""One embedded Redis (or Valkey), on a Unix socket, kept in memory alone.

Nothing is written to disk: Redis is a replica here, and the sequencer refills it from Postgres. Ready means that
the server behind our socket names our child's pid.
"""

import shutil
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from services.embedded.account import make_folder, server_account
from services.embedded.engines import Engine, EngineUnavailable, redis_engine
from services.embedded.leash import Child
from services.embedded.readiness import await_ready, end_of
from services.embedded.sockets import socket_folder


class Redis:
    """A Redis in `folder`; `engine=None` takes the preferred one of this machine.

    Raises EngineUnavailable, with a sentence for a person, when there is none or it doesn't start.
    """

    def __init__(self, folder: Path, *, engine: Engine | None = None) -> None:
        self._account = server_account()
        self._folder = make_folder(folder, self._account)
        self._child: Child | None = None
        self._socket = socket_folder(self._folder, self._account) / "redis.sock"
        self.log = self._folder / "redis.log"
        self.engine = engine or redis_engine(self._account, self._folder)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    @property
    def url(self) -> str:
        """An address for redis-py, the same after every restart of this object."""
        return f"unix://{quote(str(self._socket))}"

    def start(self, timeout: float = 10) -> None:
        """Launched with an empty memory, and answering within `timeout` seconds."""
        self.launch()
        await_ready(self, timeout)

    def launch(self) -> None:
        """Start it; not yet ready. Running already: nothing happens."""
        if self.running:
            return
        socket_folder(self._folder, self._account)
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "loglevel": "warning",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        command = [str(self.engine.program), *flags]
        with self.log.open("ab") as log:
            self._child = Child(command, account=self._account, output=log, cwd=self._folder)

    def ready(self) -> bool:
        """Whether it answers. Raises EngineUnavailable, with the end of its log, when it has ended."""
        if self._child is None or self._child.exit_code is not None:
            raise EngineUnavailable(f"{self.engine.name} did not start; the end of {self.log}: {end_of(self.log)}")
        return _pid_behind(self._socket) == self._child.pid

    def stop(self, grace: float = 3) -> None:
        """Ended; SIGKILL after `grace` seconds, which loses nothing that isn't in Postgres. Twice is safe."""
        if self._child is not None:
            self._child.end((signal.SIGTERM, grace))
            self._child = None
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._folder:
            shutil.rmtree(self._socket.parent, ignore_errors=True)

    def send(self, number: int) -> None:
        """Send a signal to the server: for tests that stop, wake or kill it."""
        if self._child is not None:
            self._child.send(number)
            if number == signal.SIGKILL:
                self._child.wait(5)


def _pid_behind(path: Path) -> int | None:
    """The pid of the server that listens there; None while nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(1)
            door.connect(str(path))
            door.sendall(b"INFO server\r\n")
            said = b""
            while b"process_id:" not in said or b"\n" not in said.split(b"process_id:")[1]:
                if not (more := door.recv(65536)):
                    return None
                said += more
    except OSError:
        return None
    return int(said.split(b"process_id:")[1].split()[0])
