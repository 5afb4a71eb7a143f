"""The containers' files against the code: no engine runs here, but what they name has to exist and to be enough."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.cli import chorus
from services.feed.settings import FeedSettings
from services.notify.settings import NotifySettings
from shared.settings import load

ROOT = Path(__file__).parents[2]
OURS = ("migrate", "sequencer", "feed", "notify")


def interpolated(text: str) -> str:
    """What compose makes of the file when every variable without a default is given."""
    given = re.sub(r"\$\{\w+:\?[^}]*\}", "a" * 32, text)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", given).replace("$$", "$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    file = msgspec.yaml.decode(interpolated((ROOT / "docker-compose.yml").read_text()))
    services: dict[str, Any] = file["services"]
    return services


def dockerfile(service: dict[str, Any]) -> str:
    file: Path = ROOT / service["build"]["context"] / service["build"]["dockerfile"]
    return file.read_text()


@pytest.mark.parametrize("name", OURS)
def test_each_service_runs_a_command_that_there_is(compose: dict[str, Any], name: str) -> None:
    service = compose[name]
    default = re.search(r"^CMD (.+)$", dockerfile(service), re.MULTILINE)
    assert default is not None
    program, command = service.get("command") or json.loads(default[1])
    assert program == "chorus"
    assert command == name
    assert chorus.get_command(None, command) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OURS)
def test_each_service_is_told_what_it_must_know_and_nothing_that_nobody_reads(
    compose: dict[str, Any], name: str
) -> None:
    image = dict(part.split("=", 1) for part in re.findall(r"CHORUS_\w+=\S+", dockerfile(compose[name])))
    environment = {**image, **{key: value or "" for key, value in compose[name]["environment"].items()}}
    known = {f"CHORUS_{field.upper()}" for kind in (FeedSettings, NotifySettings) for field in kind.__struct_fields__}
    assert set(environment) <= known
    for kind in (FeedSettings, NotifySettings):
        settings = load(kind, environment, require=("database_url", "redis_url", "secret_key"))
        assert settings.postgres_direct() != settings.postgres_for_notify() != settings.database_url
        assert settings.host == "0.0.0.0"


def test_published_and_checked_ports_are_the_ones_listened_on(compose: dict[str, Any]) -> None:
    for name, port in (("feed", FeedSettings().feed_port), ("notify", NotifySettings().notify_port)):
        assert compose[name]["ports"] == [f"{port}:{port}"]
        assert f"127.0.0.1:{port}/readyz" in compose[name]["healthcheck"]["test"][-1]


def test_the_drain_fits_into_the_grace_of_the_container(compose: dict[str, Any]) -> None:
    assert NotifySettings().drain < int(compose["notify"]["stop_grace_period"].removesuffix("s"))
