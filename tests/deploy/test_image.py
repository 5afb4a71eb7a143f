"""What the images hold, without an engine: the package, built from what .dockerignore lets through, and started."""

import fnmatch
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from services.bench.stack import free_port
from services.embedded import Child
from shared.postgres import migrate
from tests.deploy.compose import ROOT
from tests.servers import at_once
from tests.stack import Stack


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, built from the build context as the Dockerfiles copy it."""
    context, made = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("package")
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"  # nothing but what is named
    ignored = shutil.ignore_patterns(*(rule.removeprefix("**/") for rule in rules[1:] if not rule.startswith("!")))
    for rule in rules:
        source = ROOT / rule[1:]
        if rule.startswith("!") and source.is_dir():
            shutil.copytree(source, context / rule[1:], ignore=ignored)
        elif rule.startswith("!"):
            shutil.copy(source, context / rule[1:])
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(made), "."], cwd=context, check=True, capture_output=True)
    [wheel] = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(made / "unpacked")
    return made / "unpacked"


def test_the_context_holds_no_tests_no_environment_and_no_secrets() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_through == {"requirements.lock", "pyproject.toml", "LICENSE", "README.md", "shared", "services"}


def test_every_file_that_is_no_code_is_in_the_package(package: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "shared", "services"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    left_out = ("*Dockerfile", "*.md", "*LICENSE-*")
    wanted = {name for name in tracked if not any(fnmatch.fnmatch(name, each) for each in left_out)}
    missing = sorted(name for name in wanted if (ROOT / name).exists() and not (package / name).exists())
    assert not missing, "add their kind to package-data in pyproject.toml"


def test_the_package_serves_the_page_from_a_place_of_its_own(package: Path, services: Stack, tmp_path: Path) -> None:
    """Beside the stack, on its servers; cwd and PYTHONPATH are such that no file of the checkout is found."""
    port = free_port()
    env = {**services.feed._env, "PYTHONPATH": str(package), "CHORUS_FEED_PORT": str(port), "PYTHONSAFEPATH": "1"}
    where = [sys.executable, "-c", "import services; print(services.__file__)"]
    said = subprocess.run(where, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.startswith(str(package))
    for command in ("migrate", "doctor"):
        line = [sys.executable, "-m", "services.cli", command]
        done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "feed.log").open("wb") as log:
        child = Child([sys.executable, "-m", "services.cli", "feed"], output=log, env=env, cwd=tmp_path)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=30)) as http:
            page = http.get("/").text
            assert "<title>" in page
            for path in ("/live.js", "/proof.js", "/v1/topics", "/docs"):
                assert http.get(path).status_code == 200, path
    finally:
        child.end((15, 5))
    assert (package / "shared" / "eventlog" / "publish.lua").exists()
    assert at_once(migrate(env["CHORUS_DIRECT_DATABASE_URL"])) == []
