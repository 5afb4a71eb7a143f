"""The whole of docker-compose.yml by hand: servers with passwords, logins, migration, each process as it would run."""

import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.bench.stack import free_port
from services.embedded import Child
from tests.deploy.compose import ROOT, S3
from tests.deploy.containers import DIFFERS, READ_ONLY, Machine
from tests.deploy.own_servers import logins, postgres, redis
from tests.e2e.people import Member
from tests.e2e.test_accounts import letter
from tests.feed.test_media import picture
from tests.live_client import LiveClient
from tests.needed import needed
from tests.notify.delivery.mail import MailServer, words
from tests.s3 import s3_server

PAGE = "http://localhost:8080"
"""Where browsers would reach it, by the file."""


def ports() -> dict[int, int]:
    return {port: free_port() for port in (5432, 6379, 8000, 8001, 8002)}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, ports())


def url(machine: Machine, port: int) -> str:
    return f"http://127.0.0.1:{machine.ports[port]}"


def start(machine: Machine, stack: ExitStack) -> None:
    """Everything, in the file's order, until the stack ends."""
    stack.enter_context(postgres(machine))
    stack.enter_context(redis(machine))
    for _ in range(2):  # each start runs it again
        done = logins(machine)
        assert done.returncode == 0, done.stderr
    migrated = machine.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    for name in ("sequencer", "feed", "notify"):
        stack.enter_context(machine.running(name))


@pytest.mark.parametrize("name", ["logins", "migrate", "sequencer", "feed", "notify", "chorus"])
def test_what_a_service_is_told_is_what_the_file_says_but_for_what_one_machine_has_not(
    tmp_path: Path, name: str
) -> None:
    machine = Machine(tmp_path, ports(), S3, CHORUS_MEDIA_URL="s3://photos", CHORUS_SMTP_URL="smtp://mail.example")
    written, here = machine.as_written(name), machine.environment(name)
    other = {key for key in written.keys() | here.keys() if written.get(key) != here.get(key)}
    assert other <= set(DIFFERS), other - set(DIFFERS)
    assert not other & {"CHORUS_PUBLIC_URL", "CHORUS_LIVE_URL", "CHORUS_TRUSTED_PROXIES", "CHORUS_SMTP_URL"}


async def test_every_service_starts_as_the_file_says_and_a_post_reaches_a_socket(machine: Machine) -> None:
    with ExitStack() as stack:
        start(machine, stack)
        socket = f"{url(machine, 8001).replace('http', 'ws')}/v1/live"
        async with await Member.sign_up(url(machine, 8000), "ann") as ann:
            async with LiveClient(socket, origin=PAGE) as client:
                seen = await client.subscribe("topic:tea")
                post = await ann.post("First #tea")
                await client.until(lambda: any(each["type"] == "post.created" for each in seen.events))
                assert post["id"] in str(seen.events)
                traced = machine.run("chorus", "trace", post["id"])
                assert "topic:tea: 1 now, 1 of them guests'; it went to 1" in traced.stdout, (
                    traced.stdout + traced.stderr
                )
            audit = machine.run("chorus", "audit")
            assert audit.returncode == 0, audit.stdout + audit.stderr
            # A page of the file's address, and no other, may use its cookie.
            body = {"handle": ann.account["handle"], "password": "a kettle, a lamp and a chair", "cookie": True}
            for origin, status in ((PAGE, 201), (url(machine, 8000), 403)):
                headers = {"Origin": origin}
                assert (await ann.http.post("/v1/sessions", json=body, headers=headers)).status_code == status
        doctor = machine.run("chorus")
        assert doctor.returncode == 0, doctor.stdout
        assert "ok   role of notify" in doctor.stdout
    assert READ_ONLY not in os.listdir(machine.folder)


async def test_with_mail_and_s3_letters_go_out_photos_are_kept_and_the_tools_start(
    tmp_path: Path, mail: MailServer
) -> None:
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server(secret="a secret of S3", region="eu-central-1"))
        machine = Machine(
            tmp_path,
            ports(),
            S3,
            CHORUS_MAIL_FROM="Chorus <hello@chorus.example>",
            CHORUS_SMTP_URL=mail.url.replace("://", "://chorus@"),
            CHORUS_MEDIA_URL="s3://photos/of/chorus",
            CHORUS_MEDIA_ENDPOINT=s3.url,
            CHORUS_MEDIA_REGION=s3.region,
        )
        for name, value in (("access", s3.key), ("secret", s3.secret)):
            (tmp_path / "secrets" / f"media_{name}_key").write_text(f"{value}\n")
        start(machine, stack)
        async with await Member.sign_up(url(machine, 8000), "ann") as ann:
            address = {"address": "ann@post.test", "password": "a kettle, a lamp and a chair"}
            await ann.call("PUT", "/v1/me/email", address)
            answer = await ann.http.post("/v1/media", files={"file": ("p.png", picture("PNG"))})
            assert answer.status_code == 201, answer.text
            shown = await ann.http.get(answer.json()["urls"]["small"])
            assert shown.content in s3.objects.values()
            assert not (tmp_path / "data" / "media").exists()
            sent = await letter(mail, "Confirm")
        assert (sent["To"], sent["From"]) == ("ann@post.test", "Chorus <hello@chorus.example>")
        assert f"{PAGE}/confirm#" in words(sent)
        assert mail.signed_in == [(b"chorus", machine.secret("smtp_password").encode())]
        for tool, says in ((["doctor"], "s3://photos/of/chorus"), (["admin", "replay"], "0 handled")):
            done = machine.run("chorus", *tool)
            assert done.returncode == 0, done.stdout + done.stderr
            assert says in done.stdout


async def test_postgres_runs_by_the_command_line_of_the_file_and_logs_no_row(machine: Machine) -> None:
    with postgres(machine) as log:
        await _try_postgres(machine)
        said = log.read_text()
    assert "violates check constraint" in said
    assert "a member wrote this" not in said


async def _try_postgres(machine: Machine) -> None:
    who = f"postgresql://chorus@127.0.0.1:{machine.ports[5432]}/chorus"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(who, password="another")
    connection = await asyncpg.connect(who, password=machine.secret("postgres_password"))
    try:
        words = machine.services["postgres"]["command"]
        asked = dict(word.split("=") for word in words[1:] if word != "-c")
        assert asked
        for name, value in asked.items():
            assert await connection.fetchval(f"show {name}") == value
        await connection.execute("create table t (words text not null, n integer check (n > 0))")
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await connection.execute("insert into t values ($1, 0)", "a member wrote this")
        assert "a member wrote this" in str(refused.value.detail)
    finally:
        await connection.close()


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
    caddy = str(needed("caddy", "caddy"))
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
