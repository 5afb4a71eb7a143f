"""A service of docker-compose.yml started by hand: its command line, with exactly the environment that the file gives.

What an engine would add is put in its place: host names become loopback, /run/secrets a folder, ports free ones.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.embedded import Child
from tests.deploy.compose import ROOT, image_environment, services
from tests.stack import PATIENCE

CHORUS = Path(sys.executable).with_name("chorus")


class Machine:
    """Where services are started: `ports` maps the ports of the file to those here, `folder` holds what they write."""

    def __init__(self, folder: Path, ports: Mapping[int, int]) -> None:
        self.folder = folder
        self.ports = ports
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

    def environment(self, name: str) -> dict[str, str]:
        """A service's environment: its image's, the file's, and the ports that are not the usual ones."""
        service = services()[name]
        image = image_environment(service) if "build" in service else {}
        told = {**image, **service.get("environment", {}), **self._ports(name)}
        told |= {"PATH": os.environ["PATH"], "CHORUS_DATA_DIR": str(self.folder / "data")}
        return {key: self.here("" if value is None else str(value)) for key, value in told.items()}

    def command(self, name: str) -> list[str]:
        """What the container would run."""
        service = services()[name]
        words = [self.here(word) for word in (*service.get("entrypoint", ()), *service.get("command", ()))]
        return [str(CHORUS), *words[1:]] if words[0] == "chorus" else words

    def run(self, name: str, *more: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """A service that ends by itself."""
        return subprocess.run(
            [*self.command(name), *more],
            env={**self.environment(name), **extra},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @contextmanager
    def running(self, name: str, **extra: str) -> Iterator[Child]:
        """A service that stays, healthy in the file's own sense."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            env = {**self.environment(name), **extra}
            child = Child(self.command(name), output=output, env=env, cwd=self.folder)
        try:
            deadline = time.monotonic() + PATIENCE
            while not self.healthy(name):
                assert child.exit_code is None, f"{name} ended by itself:\n{log.read_text()[-4000:]}"
                assert time.monotonic() < deadline, f"{name} is not healthy:\n{log.read_text()[-4000:]}"
                time.sleep(0.1)
            yield child
        finally:
            child.end((15, 15))

    def healthy(self, name: str) -> bool:
        """What the file's health check says."""
        kind, *words = services()[name]["healthcheck"]["test"]
        words = [self.here(word) for word in words]
        if kind == "CMD-SHELL":
            words = ["sh", "-c", words[0].replace("redis-cli", f"redis-cli -p {self.ports[6379]}")]
        elif words[0] == "python":
            words[0] = sys.executable
        env = {"PATH": os.environ["PATH"]}
        return subprocess.run(words, env=env, capture_output=True, check=False, timeout=30).returncode == 0

    def _ports(self, name: str) -> dict[str, str]:
        ours: dict[str, Any] = {"FEED": 8000, "NOTIFY": 8001}
        if name == "sequencer":
            ours["SEQUENCER"] = 8002
        return {f"CHORUS_{key}_PORT": str(self.ports[port]) for key, port in ours.items()}
