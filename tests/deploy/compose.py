"""docker-compose.yml as an engine would read it: interpolated, with its merges done."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
S3 = ROOT / "deploy" / "s3.yml"
"""What who keeps photos in S3 lays over it."""
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


def composed(*over: Path, **given: str) -> dict[str, Any]:
    """The whole file with these variables, and with these files laid over it."""
    file: dict[str, Any] = {}
    for path in (FILE, *over):
        file = laid_over(file, msgspec.yaml.decode(interpolated(path.read_text(), {**SECRETS, **given})))
    return file


def laid_over(below: Any, above: Any) -> Any:
    """As engines merge files: maps by key, lists one after the other and nothing twice, all else by the later one."""
    if isinstance(below, dict) and isinstance(above, dict):
        merged = {name: laid_over(below[name], value) if name in below else value for name, value in above.items()}
        return {**below, **merged}
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *(each for each in above if each not in below)]
    return above


def services(*over: Path, **given: str) -> dict[str, dict[str, Any]]:
    """Its services."""
    found: dict[str, dict[str, Any]] = composed(*over, **given)["services"]
    return found


def dockerfile(service: Mapping[str, Any]) -> Path:
    """Of a service that we build."""
    build = service["build"]
    return ROOT / str(build["context"]) / str(build.get("dockerfile", "Dockerfile"))


def image_environment(service: Mapping[str, Any]) -> dict[str, str]:
    """What the last stage of its Dockerfile sets."""
    last = dockerfile(service).read_text().rpartition("\nFROM ")[2]
    return dict(part.split("=", 1) for line in re.findall(r"^ENV (.+)$", last, re.M) for part in line.split())
