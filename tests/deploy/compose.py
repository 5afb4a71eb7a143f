"""docker-compose.yml as an engine would read it: interpolated, with its merges done."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SECRETS = {"CHORUS_SECRETS": "./secrets"}
"""What `deploy/secrets.sh` puts into .env."""

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<how>:[-?+])(?P<rest>[^${}]*))?\}")


class Missing(Exception):
    """A variable that has to be given is not; in the file's own words."""


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """The text with `${X}`, `${X:-else}`, `${X:+then}` and `${X:?why}` replaced, the inner ones first."""

    def value(found: "re.Match[str]") -> str:
        is_given = given.get(found["name"], "")
        match found["how"]:
            case ":-":
                return is_given or found["rest"]
            case ":+":
                return found["rest"] if is_given else ""
            case ":?" if not is_given:
                raise Missing(found["rest"])
        return is_given

    text = text.replace("$$", "\0")
    while _VARIABLE.search(text):
        text = _VARIABLE.sub(value, text)
    return text.replace("\0", "$")


def composed(**given: str) -> dict[str, Any]:
    """The whole file with these variables."""
    file: dict[str, Any] = msgspec.yaml.decode(interpolated(FILE.read_text(), {**SECRETS, **given}))
    return file


def services(**given: str) -> dict[str, dict[str, Any]]:
    """Its services."""
    found: dict[str, dict[str, Any]] = composed(**given)["services"]
    return found


def dockerfile(service: Mapping[str, Any]) -> Path:
    """Of a service that we build."""
    build = service["build"]
    return ROOT / str(build["context"]) / str(build.get("dockerfile", "Dockerfile"))


def image_environment(service: Mapping[str, Any]) -> dict[str, str]:
    """What the last stage of its Dockerfile sets."""
    last = dockerfile(service).read_text().rpartition("\nFROM ")[2]
    return dict(part.split("=", 1) for line in re.findall(r"^ENV (.+)$", last, re.M) for part in line.split())
