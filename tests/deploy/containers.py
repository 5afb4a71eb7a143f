"""A service of docker-compose.yml started by hand: its command line, with exactly the environment that the file gives.

What an engine would add is put in its place: host names become loopback, /run/secrets a folder, ports free ones.
DIFFERS names each variable for which that has to be so, and a test holds this to it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.embedded import Child
from tests.deploy.compose import ROOT, image_environment, services
from tests.stack import PATIENCE

CHORUS = Path(sys.executable).with_name("chorus")
READ_ONLY = "read-only"
"""The data folder of services without a volume: nothing may appear there."""
_PORTS = {"CHORUS_FEED_PORT": 8000, "CHORUS_NOTIFY_PORT": 8001, "CHORUS_SEQUENCER_PORT": 8002, "PGPORT": 5432}
_ADDRESS = "the engine's names are nobody's here: servers listen on loopback"
_PORT = "each container has every port for itself, this machine has each one once"

DIFFERS = {
    "PATH": "the images' programs lie elsewhere than this machine's",
    "CHORUS_HOST": "a container's network is its own; a test opens no port to this machine's",
    "CHORUS_DATA_DIR": "/data is the image's; a folder stands for the volume",
    "CHORUS_DATABASE_URL": _ADDRESS,
    "CHORUS_NOTIFY_DATABASE_URL": _ADDRESS,
    "CHORUS_DIRECT_DATABASE_URL": _ADDRESS,
    "CHORUS_REDIS_URL": _ADDRESS,
    "PGHOST": _ADDRESS,
    "PGPORT": _PORT,
    "CHORUS_FEED_PORT": _PORT,
    "CHORUS_NOTIFY_PORT": _PORT,
    "CHORUS_SEQUENCER_PORT": _PORT,
    **dict.fromkeys(
        (
            "CHORUS_DATABASE_PASSWORD_FILE",
            "CHORUS_NOTIFY_DATABASE_PASSWORD_FILE",
            "CHORUS_DIRECT_DATABASE_PASSWORD_FILE",
            "CHORUS_REDIS_PASSWORD_FILE",
            "CHORUS_SECRET_KEY_FILE",
            "CHORUS_SMTP_PASSWORD_FILE",
            "CHORUS_MEDIA_ACCESS_KEY_FILE",
            "CHORUS_MEDIA_SECRET_KEY_FILE",
            "POSTGRES_PASSWORD_FILE",
        ),
        "/run/secrets is the engine's to make; the folder that it would mount stands for it",
    ),
}
"""Why a variable is not what the file says. No other may be."""


class Machine:
    """Where services are started: `ports` maps the ports of the file to those here, `folder` holds what they write.

    `over` and `given` are files laid over docker-compose.yml, and variables, as .env would name them.
    """

    def __init__(self, folder: Path, ports: Mapping[int, int], *over: Path, **given: str) -> None:
        self.folder = folder
        self.ports = ports
        self.services = services(*over, **given)
        self.path = os.environ["PATH"]
        subprocess.run(["sh", str(ROOT / "deploy" / "secrets.sh"), str(folder)], check=True, capture_output=True)

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text()

    def here(self, text: str) -> str:
        """What the file says, for this machine."""
        text = text.replace("/run/secrets", str(self.folder / "secrets"))
        for name, port in (("postgres", 5432), ("redis", 6379)):
            text = text.replace(f"@{name}/", f"@127.0.0.1:{self.ports[port]}/")
            text = text.replace(f"{name}://{name}", f"{name}://127.0.0.1:{self.ports[port]}")
        for port, ours in self.ports.items():
            text = text.replace(f"127.0.0.1:{port}/", f"127.0.0.1:{ours}/")
        return text

    def as_written(self, name: str) -> dict[str, str]:
        """What a container of this service would find in its environment."""
        service = self.services[name]
        image = image_environment(service) if "build" in service else {}
        told = {**image, **service.get("environment", {})}
        return {key: "" if value is None else str(value) for key, value in told.items()}  # engines interpolate strings

    def environment(self, name: str) -> dict[str, str]:
        """The same for this machine."""
        written = self.as_written(name)
        keeps = any(volume.endswith(":/data") for volume in self.services[name].get("volumes", ()))
        data = self.folder / ("data" if keeps else READ_ONLY)
        ours = {"PATH": self.path, "CHORUS_HOST": "127.0.0.1", "CHORUS_DATA_DIR": str(data)}
        ours |= {key: str(self.ports[port]) for key, port in _PORTS.items()} | {"PGHOST": "127.0.0.1"}
        if not any(key.startswith("PG") for key in written):
            ours = {key: value for key, value in ours.items() if not key.startswith("PG")}
        if "CHORUS_SEQUENCER_PORT" not in written:  # unset it listens nowhere
            del ours["CHORUS_SEQUENCER_PORT"]
        return {key: self.here(value) for key, value in written.items()} | ours

    def command(self, name: str, *instead: str) -> list[str]:
        """What the container would run; `instead` of its own command, as after `docker compose run`."""
        service = self.services[name]
        words = [*service.get("entrypoint", ()), *(instead or service.get("command", ()))]
        return [str(CHORUS), *words[1:]] if words[0] == "chorus" else [self.here(word) for word in words]

    def run(self, name: str, *instead: str) -> "subprocess.CompletedProcess[str]":
        """A service that ends by itself."""
        return subprocess.run(
            self.command(name, *instead),
            env=self.environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @contextmanager
    def running(self, name: str) -> Iterator[Child]:
        """A service that stays, healthy in the file's own sense."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            child = Child(self.command(name), output=output, env=self.environment(name), cwd=self.folder)
        try:
            self.await_health(name, child, log)
            yield child
        finally:
            child.end((15, 15))

    def await_health(self, name: str, child: Child, log: Path) -> None:
        """Until the file's health check is content."""
        deadline = time.monotonic() + PATIENCE
        while not self.healthy(name):
            assert child.exit_code is None, f"{name} ended by itself:\n{log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"{name} is not healthy:\n{log.read_text()[-4000:]}"
            time.sleep(0.1)

    def healthy(self, name: str) -> bool:
        """What the file's health check says; programs of servers are told the port that is another here."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        words = [self.here(word) for word in words]
        if kind == "CMD-SHELL":
            words = ["sh", "-c", words[0].replace("redis-cli", f"redis-cli -p {self.ports[6379]}")]
        elif words[0] == "python":
            words[0] = sys.executable
        env = {"PATH": self.path, "PGPORT": str(self.ports[5432])}
        return subprocess.run(words, env=env, capture_output=True, check=False, timeout=30).returncode == 0
