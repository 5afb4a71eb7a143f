"""The servers of docker-compose.yml by hand, with the command lines of the file.

What their images do before, or have as their own default, is done here, with the reason beside it. Postgres is the
wheel's, or this machine's where that can't run; redis-server is this machine's: their versions may be others than the
images', and what a test asserts is true of all that Chorus runs on.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.embedded import Child, postgres_engine, server_account
from tests.deploy.compose import ROOT
from tests.deploy.containers import Machine
from tests.needed import needed
from tests.servers import server_folder


@contextmanager
def postgres(machine: Machine) -> Iterator[Path]:
    """As the container: made as the image's entrypoint makes it, then started by the file's words, and healthy. Gives
    its log."""
    account = server_account()
    with server_folder() as folder:
        engine = postgres_engine(account, folder)
        programs = engine.program.parent
        data, password, log = folder / "data", folder / "password", folder / "log"
        told = machine.services["postgres"]["environment"]
        password.write_text(machine.secret("postgres_password"))
        log.touch()
        if account is not None:
            for path in (folder, password, log):
                os.chown(path, account.uid, account.gid)
        make = [programs / "initdb", "-D", data, "-U", told["POSTGRES_USER"], f"--pwfile={password}", "--no-sync"]
        _done([*map(str, make), "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8"], folder)
        # The image's entrypoint makes the database, and asks all that come over the network for a password; they come
        # over loopback here. It listens everywhere, has its socket in a folder of its own, and its port to itself.
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n")
        port = machine.ports[5432]
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{folder}'\n")
        _done(
            [str(engine.program), "--single", "-D", str(data), "postgres"],
            folder,
            f"create database {told['POSTGRES_DB']};\n",
        )
        first, *words = machine.command("postgres")
        assert first == engine.program.name == "postgres"
        with log.open("ab") as output:
            child = Child(
                [str(engine.program), *words],
                account=account,
                last_wish=signal.SIGINT,
                output=output,
                cwd=folder,
                env={"PGDATA": str(data)},  # which the image sets
            )
        machine.path = f"{programs}{os.pathsep}{machine.path}"  # psql and pg_isready, as in the image
        try:
            machine.await_health("postgres", child, log)
            yield log
        finally:
            child.end((signal.SIGINT, 10), (signal.SIGQUIT, 2))


def _done(words: list[str], folder: Path, text: str | None = None) -> None:
    account = server_account()
    done = subprocess.run(
        words,
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    assert done.returncode == 0, done.stderr


def logins(machine: Machine) -> "subprocess.CompletedProcess[str]":
    """The one-shot that gives the services their passwords."""
    script = machine.folder / "logins.sql"
    script.write_text(machine.here((ROOT / "deploy" / "logins.sql").read_text()))
    *shell, words = machine.command("logins")
    words = words.replace("/logins.sql", str(script))
    return subprocess.run(
        [*shell, words], env=machine.environment("logins"), capture_output=True, text=True, check=False, timeout=60
    )


@contextmanager
def redis(machine: Machine) -> Iterator[Child]:
    """As the container, healthy; but on loopback, at a port of its own."""
    needed("redis-server", "redis-server")
    shell, *options, words = machine.command("redis")
    words = words.replace('save ""', f'bind 127.0.0.1\nport {machine.ports[6379]}\nsave ""')
    log = machine.folder / "redis.log"
    with log.open("wb") as output:
        program = shutil.which(shell)
        assert program
        child = Child([program, *options, words], output=output, cwd=machine.folder, env={"PATH": os.environ["PATH"]})
    try:
        machine.await_health("redis", child, log)
        yield child
    finally:
        child.end((signal.SIGTERM, 5))
