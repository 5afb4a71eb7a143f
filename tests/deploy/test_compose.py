"""docker-compose.yml without an engine: what it says is well formed, and everything that it names exists."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.cli import chorus
from services.feed.settings import FeedSettings
from services.notify.settings import NotifySettings
from tests.deploy.compose import (
    FILE,
    ROOT,
    S3,
    Missing,
    composed,
    dockerfile,
    image_environment,
    interpolated,
    services,
)

OURS = ("feed", "sequencer", "notify", "migrate", "chorus")
SETTINGS = {f"CHORUS_{name.upper()}" for kind in (FeedSettings, NotifySettings) for name in kind.__struct_fields__}
ALL = tuple(services())
IN_S3 = {"CHORUS_MEDIA_URL": "s3://photos"}
OVER: dict[str, tuple[Path, ...]] = {"alone": (), "with s3": (S3,)}
over = pytest.mark.parametrize("over", OVER.values(), ids=OVER)
"""Once as it stands, and once with photos in S3."""


def test_the_file_follows_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE), str(S3)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_secrets_the_start_stops_with_the_command_that_makes_them() -> None:
    with pytest.raises(Missing, match=r"sh deploy/secrets\.sh"):
        interpolated(FILE.read_text(), {})


@over
@pytest.mark.parametrize("name", ALL)
def test_everything_that_a_service_names_is_declared(name: str, over: tuple[Path, ...]) -> None:
    file = composed(*over, **IN_S3)
    service = file["services"][name]
    assert set(service["networks"]) <= set(file["networks"])
    assert set(service.get("secrets", ())) <= set(file["secrets"])
    assert {each["source"] for each in service.get("configs", ())} <= set(file["configs"])
    assert set(service.get("depends_on", ())) <= set(file["services"])
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        assert (ROOT / source).is_dir() if source.startswith(".") else source in file["volumes"]
    for waited, how in service.get("depends_on", {}).items():
        other = file["services"][waited]
        once = other["restart"] == "no"
        assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")
        assert once or other["healthcheck"]["test"]


@over
def test_everything_that_is_declared_is_used_and_every_file_is_there(over: tuple[Path, ...]) -> None:
    file = composed(*over, **IN_S3)
    used: dict[str, set[str]] = {"networks": set(), "secrets": set(), "volumes": set()}
    for service in file["services"].values():
        for kind, names in used.items():
            names |= {volume.split(":")[0] for volume in service.get(kind, ()) if not volume.startswith(".")}
    assert {kind: set(file[kind]) for kind in used} == used
    assert all((ROOT / config["file"]).is_file() for config in file["configs"].values())


@over
@pytest.mark.parametrize("name", ALL)
def test_every_service_is_shut_in(name: str, over: tuple[Path, ...]) -> None:
    service = services(*over, **IN_S3)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert account(service) not in ("", "root", "0")
    if service["restart"] != "no":
        assert set(service["healthcheck"]) >= {"test", "interval", "start_period", "start_interval"}


def account(service: Mapping[str, Any]) -> str:
    if "user" in service:
        return str(service["user"])
    users = re.findall(r"^USER (\S+)$", dockerfile(service).read_text().rpartition("\nFROM ")[2], re.MULTILINE)
    return users[-1].partition(":")[0] if users else ""


@pytest.mark.parametrize("name", ALL)
def test_every_image_is_pinned_to_a_release(name: str) -> None:
    service = services()[name]
    bases = [service["image"]]
    if "build" in service:
        bases = re.findall(r"^FROM (\S+)", dockerfile(service).read_text(), re.MULTILINE)
    for base in bases:
        assert re.search(r":v?\d+\.\d+\.\d+|:18\.\d+", base), f"{base} moves"


@pytest.mark.parametrize("name", OURS)
def test_each_of_ours_runs_a_command_that_there_is(name: str) -> None:
    service = services()[name]
    command = [*service.get("entrypoint", ()), *service["command"]]
    assert command[0] == "chorus"
    assert chorus.get_command(None, command[1]) is not None  # type: ignore[arg-type]


@over
@pytest.mark.parametrize("name", OURS)
def test_each_of_ours_is_told_settings_that_there_are_and_has_the_secrets_that_it_reads(
    name: str, over: tuple[Path, ...]
) -> None:
    service = services(*over, **IN_S3)[name]
    told = {**image_environment(service), **service["environment"]}
    mine = {key for key in told if key.startswith("CHORUS_")}
    assert {key.removesuffix("_FILE") if key not in SETTINGS else key for key in mine} <= SETTINGS
    files = {told[key] for key in mine if key.endswith("_FILE")}
    assert files == {f"/run/secrets/{secret}" for secret in service["secrets"]}


HELD = {
    **dict.fromkeys(("HOST", "FEED_PORT", "NOTIFY_PORT", "DATA_DIR"), "the container's own, and the images say them"),
    **dict.fromkeys(("CLOCK_OFFSET", "CLOCK_FILE", "FAULTS", "FAULTS_LOG"), "for tests: never in production"),
    "LOG_FORMAT": "engines and what collects from them read JSON",
    "MAIL_DIR": "for `chorus up`; letters in a container's folder are read by nobody",
    "REDIS_CA": "the Redis of the file is on a network of its own, without TLS",
}
"""Settings that .env can't choose, and why."""


def test_every_setting_that_is_an_operators_to_choose_can_be_chosen_in_the_env_file() -> None:
    given = dict.fromkeys(SETTINGS, "chosen")
    before, after = services(S3, **IN_S3), services(S3, **{**given, **IN_S3})
    told = {key.removesuffix("_FILE") for name in OURS for key in before[name]["environment"]}
    assert SETTINGS - told == {f"CHORUS_{name}" for name in HELD}
    fixed = {
        key
        for name in OURS
        for key, value in before[name]["environment"].items()
        if value == after[name]["environment"][key]
    }
    ours = ("_URL", "_FILE", "_PORT")  # follow from the domain, are the file's own servers, or are in files
    assert not {key for key in fixed if not key.endswith(ours)} - {"CHORUS_TRUSTED_PROXIES"}


def test_photos_are_in_s3_for_who_asks_for_it_and_nobody_else_misses_a_key() -> None:
    assert not [name for name in composed(**IN_S3)["secrets"] if "media" in name]
    with pytest.raises(Missing, match=r"CHORUS_MEDIA_URL=s3://"):
        composed(S3)
    told = {"CHORUS_MEDIA_ENDPOINT": "https://minio.example:9000", "CHORUS_MEDIA_REGION": "eu-central-1"}
    before, after = services(**IN_S3, **told), services(S3, **IN_S3, **told)
    assert {name for name in ALL if before[name] != after[name]} == {"feed", "chorus"}
    for name in ("feed", "chorus"):
        assert {**IN_S3, **told}.items() <= after[name]["environment"].items()
        # An internal network leads nowhere.
        assert any(not (composed()["networks"][each] or {}).get("internal") for each in after[name]["networks"])


@pytest.mark.parametrize("file", [FILE, S3], ids=lambda file: file.name)
def test_nothing_secret_stands_in_the_file_or_in_an_environment(file: Path) -> None:
    assert not re.search(r"(PASSWORD|(SECRET|ACCESS)_KEY)\w*: (?!/run/secrets/)", file.read_text())
    assert not re.search(r"postgresql://\w+:", file.read_text())
    for service in services(S3, **IN_S3).values():
        assert not [key for key in service.get("environment", {}) if key.endswith(("_PASSWORD", "_KEY"))]


def test_each_process_has_the_one_login_that_its_work_needs() -> None:
    logins = {name: each["environment"]["CHORUS_DATABASE_URL"] for name, each in services().items() if name in OURS}
    roles = {name: re.search(r"//(\w+)@", url)[1] for name, url in logins.items()}  # type: ignore[index]
    assert roles == {
        "feed": "chorus_feed",
        "notify": "chorus_notify",
        "sequencer": "chorus",
        "migrate": "chorus",
        "chorus": "chorus_feed",
    }


def test_the_outside_reaches_the_proxy_alone() -> None:
    file = composed()
    published = {name: each["ports"] for name, each in file["services"].items() if "ports" in each}
    assert published == {"proxy": ["8080:8080", "8443:8443"], "grafana": ["127.0.0.1:3000:3000"]}
    # Who is on this network is believed about whom it connects for; nobody else may be.
    front = {name for name, each in file["services"].items() if "front" in each["networks"]}
    assert front == {"proxy", "feed", "notify"}
    [pool] = file["networks"]["front"]["ipam"]["config"]
    assert all(file["services"][name]["environment"]["CHORUS_TRUSTED_PROXIES"] == pool["subnet"] for name in OURS)
    assert file["networks"]["back"] == {"internal": True}
    assert file["services"]["feed"]["deploy"]["replicas"] == file["services"]["notify"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ({}, "http://localhost:8080"),
        ({"CHORUS_HTTP_PORT": "80"}, "http://localhost:80"),
        ({"CHORUS_DOMAIN": "chorus.example", "CHORUS_HTTP_PORT": "80"}, "https://chorus.example"),
    ],
)
def test_the_addresses_that_browsers_use_follow_from_the_domain(given: dict[str, str], page: str) -> None:
    told = services(**given)["notify"]["environment"]
    assert told["CHORUS_PUBLIC_URL"] == page
    assert told["CHORUS_LIVE_URL"] == f"{page.replace('http', 'ws', 1)}/v1/live"
    settings = NotifySettings(public_url=told["CHORUS_PUBLIC_URL"], live_url=told["CHORUS_LIVE_URL"])
    assert settings.notify_url() == page
    assert settings.origins() == {page.removesuffix(":80")}  # as browsers write it
    assert services(**given)["proxy"]["environment"]["CHORUS_SITE"] == given.get("CHORUS_DOMAIN", "http://")


@pytest.mark.parametrize("given", [{}, {"CHORUS_DRAIN": "60", "CHORUS_STOP_GRACE": "70s"}])
def test_a_stop_waits_longer_than_the_drain(given: dict[str, str]) -> None:
    notify = services(**given)["notify"]
    grace = int(notify["stop_grace_period"].removesuffix("s"))
    assert float(notify["environment"]["CHORUS_DRAIN"]) + 10 <= grace


def test_both_images_are_one_but_for_what_they_run() -> None:
    def kept(service: str) -> list[str]:
        lines = (ROOT / "services" / service / "Dockerfile").read_text().splitlines()
        return [line for line in lines if not line.startswith(("#", "CMD", "EXPOSE"))]

    assert kept("feed") == kept("notify")
    assert "--require-hashes -r requirements.lock" in "".join(kept("feed"))


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    make = ["sh", str(ROOT / "deploy" / "secrets.sh"), str(tmp_path)]
    said = subprocess.run(make, capture_output=True, text=True, check=True).stdout
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == set(composed()["secrets"])
    assert len(set(made.values())) == len(made)
    assert all(re.fullmatch(r"[0-9a-f]{64}", secret) for secret in made.values())
    assert not [secret for secret in made.values() if secret in said]
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    (tmp_path / "secrets" / "feed_password").unlink()
    (tmp_path / "secrets" / "feed_password").mkdir()  # as an engine leaves it that missed the file
    (tmp_path / "secrets" / "notify_password").write_text("mine")
    again = subprocess.run(make, capture_output=True, text=True, check=True).stdout
    assert again == "made secrets/feed_password\n"
    assert (tmp_path / "secrets" / "notify_password").read_text() == "mine"
    assert (tmp_path / ".env").read_text() == "CHORUS_SECRETS=./secrets\n"


def test_keys_that_only_s3_can_make_are_asked_for_by_name_and_by_nobody_who_has_no_s3(tmp_path: Path) -> None:
    make = ["sh", str(ROOT / "deploy" / "secrets.sh"), str(tmp_path)]
    (tmp_path / ".env").write_text("COMPOSE_FILE=docker-compose.yml:deploy/s3.yml\n")
    (tmp_path / "secrets" / "media_access_key").mkdir(parents=True)
    asked = subprocess.run(make, capture_output=True, text=True, check=False)
    assert asked.returncode == 1
    keys = [tmp_path / "secrets" / name for name in ("media_access_key", "media_secret_key")]
    for key in keys:
        assert f"    cat > secrets/{key.name}\n" in asked.stderr
        key.write_text("given by S3\n")
        key.chmod(0o600)
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o644, 0o644]  # the containers' accounts read them
    assert {path.name for path in (tmp_path / "secrets").iterdir()} == set(composed(S3, **IN_S3)["secrets"])
