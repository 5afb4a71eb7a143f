"""The whole of docker-compose.yml by hand: servers with passwords, logins, migration, each process as it would run."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.embedded import Child, Postgres
from tests.deploy.compose import ROOT
from tests.deploy.containers import Machine
from tests.e2e.people import Member
from tests.live_client import LiveClient
from tests.servers import at_once, server_folder
from tests.stack import free_port


def needs(program: str, package: str) -> str:
    """Where a program is; without it the test is skipped, and says what would run it."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}: apt-get install {package}")
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {port: free_port() for port in (5432, 6379, 8000, 8001, 8002)})


@pytest.fixture
def postgres(machine: Machine) -> Iterator[Postgres]:
    """As the image makes it: on TCP, for those who know a password; the owner's is the secret's."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(machine.ports[5432])}
    with server_folder() as folder:
        server = Postgres(folder / "pg", durable=False, settings=settings)
        server.start()
        try:
            at_once(_shut(server, machine))
            yield server
        finally:
            server.stop(grace=3)


async def _shut(server: Postgres, machine: Machine) -> None:
    url = f"postgresql://chorus@127.0.0.1:{machine.ports[5432]}/chorus"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP ROLE chorus_feed; DROP ROLE chorus_notify")  # the image knows neither
        await connection.execute(f"ALTER ROLE chorus PASSWORD '{machine.secret('postgres_password')}'")
        (server.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


def logins(machine: Machine) -> "subprocess.CompletedProcess[str]":
    """The one-shot that gives the services their passwords."""
    needs("psql", "postgresql-client")
    script = machine.folder / "logins.sql"
    script.write_text(machine.here((ROOT / "deploy" / "logins.sql").read_text()))
    [words] = machine.command("logins")[2:]
    words = words.replace("/logins.sql", str(script))
    env = {**machine.environment("logins"), "PGHOST": "127.0.0.1", "PGPORT": str(machine.ports[5432])}
    return subprocess.run(["sh", "-ec", words], env=env, capture_output=True, text=True, check=False, timeout=60)


def redis(machine: Machine) -> "Child":
    """Redis as the file starts it."""
    needs("redis-server", "redis-server")
    words = machine.command("redis")[-1].replace('save ""', f'port {machine.ports[6379]}\nsave ""')
    with (machine.folder / "redis.log").open("wb") as log:
        return Child(
            [needs("sh", "dash"), "-ec", words], output=log, cwd=machine.folder, env={"PATH": os.environ["PATH"]}
        )


async def test_every_service_starts_as_the_file_says_and_a_post_reaches_a_socket(
    machine: Machine, postgres: Postgres
) -> None:
    for _ in range(2):  # each start runs it again
        done = logins(machine)
        assert done.returncode == 0, done.stderr
    child = redis(machine)
    try:
        migrated = machine.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        with ExitStack() as stack:
            stack.callback(child.end, (15, 5))
            for name in ("sequencer", "feed", "notify"):
                stack.enter_context(machine.running(name, **_plain(machine)))
            assert machine.healthy("redis")
            url, live = (f"http://127.0.0.1:{machine.ports[port]}" for port in (8000, 8001))
            socket = f"{live.replace('http', 'ws')}/v1/live"
            async with await Member.sign_up(url, "ann") as ann, LiveClient(socket) as client:
                seen = await client.subscribe("topic:tea")
                post = await ann.post("First #tea")
                await client.until(lambda: any(each["type"] == "post.created" for each in seen.events))
                assert post["id"] in str(seen.events)
            doctor = machine.run("chorus")
            assert doctor.returncode == 0, doctor.stdout
            assert "ok   role of notify" in doctor.stdout
    finally:
        child.end((15, 5))


def _plain(machine: Machine) -> dict[str, str]:
    """Only what another machine's page would send: the origin of this one."""
    return {"CHORUS_PUBLIC_URL": f"http://127.0.0.1:{machine.ports[8000]}"}


@pytest.mark.parametrize(("name", "missing"), [("feed", "secret_key"), ("notify", "notify_password"), ("migrate", "")])
def test_a_missing_secret_stops_a_start_with_the_command_that_makes_it(
    machine: Machine, name: str, missing: str
) -> None:
    missing = missing or "postgres_password"
    (machine.folder / "secrets" / missing).unlink()
    done = machine.run(name)
    assert done.returncode == 2
    assert re.search(rf"CHORUS_\w+_FILE: .*/secrets/{missing}: no such file", done.stderr)
    assert "`sh deploy/secrets.sh` makes what is missing" in done.stderr
    assert "Traceback" not in done.stderr


BEHIND = {"CHORUS_TRUSTED_PROXIES": "127.0.0.1", "CHORUS_SIGNUPS_PER_HOUR": "1"}


@pytest.mark.parametrize("services", [BEHIND], indirect=True)
async def test_the_proxy_gives_one_origin_and_tells_the_true_address(services: Any, tmp_path: Path) -> None:
    """Caddy, where there is one, with the file that its image holds."""
    caddy = needs("caddy", "caddy")
    port, tls = free_port(), free_port()
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CHORUS_HTTP_LISTEN": str(port),
        "CHORUS_HTTPS_LISTEN": str(tls),
        "CHORUS_FEED_HOST": "localhost",
        "CHORUS_FEED_PORT": services.url.rpartition(":")[2],
        "CHORUS_NOTIFY_HOST": "localhost",
        "CHORUS_NOTIFY_PORT": services.notify.url.rpartition(":")[2],
    }
    config = ["--config", str(ROOT / "deploy" / "proxy" / "Caddyfile"), "--adapter", "caddyfile"]
    with (tmp_path / "caddy.log").open("wb") as log:
        child = Child([caddy, "run", *config], output=log, env=env, cwd=tmp_path)
    try:
        one = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=one, timeout=20) as http:
            transport = httpx.AsyncHTTPTransport(retries=20)
            async with httpx.AsyncClient(base_url=one, transport=transport, timeout=20) as patient:
                assert "<title>" in (await patient.get("/")).text
            assert (await http.get("/asyncapi.json")).json()["asyncapi"].startswith("3.")
            assert "/v1/notifications" in (await http.get("/notify/openapi.json")).json()["paths"]
            assert "/v1/posts" in (await http.get("/openapi.json")).json()["paths"]
            assert "listNotifications" in (await http.get("/notify/docs")).text
            assert (await http.get("/v1/notifications")).status_code == 401
            assert (await http.get("/healthz")).status_code == 200
            for ours in ("/metrics", "/readyz", "/metrics/", "/readyz/", "//metrics", "/notify/metrics"):
                assert (await http.get(f"{one}{ours}")).status_code == 404, ours
            body = {"handle": "ann", "display_name": "Ann", "password": "a kettle, a lamp and a chair"}
            assert (await http.post("/v1/accounts", json=body)).status_code == 201
            forged = {"X-Forwarded-For": "203.0.113.7"}
            answer = await http.post("/v1/accounts", json={**body, "handle": "bob"}, headers=forged)
            assert answer.status_code == 429
        async with LiveClient(f"ws://127.0.0.1:{port}/v1/live") as client:
            await client.subscribe("topic:tea")
    finally:
        child.end((15, 5))
