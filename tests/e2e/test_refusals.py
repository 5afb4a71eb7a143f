"""What a tired operator meets: commands that can't do their work say why in a sentence, with the right exit code."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.bench.stack import free_port
from services.embedded import Postgres
from tests.e2e.elsewhere import HERE
from tests.servers import Database, fresh_database
from tests.stack import SECRET

NOBODY_LISTENS = "postgresql://chorus_feed:hunter2@127.0.0.1:1/chorus"


def chorus(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """One command that ends by itself, in an environment with these settings alone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    given = {f"CHORUS_{name}": value for name, value in settings.items()}
    base = {"CHORUS_DATA_DIR": str(folder / "data"), "CHORUS_SECRET_KEY": SECRET}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**clean, **HERE.env, **base, **given},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", ["feed", "migrate", "export", "sequencer"])
def test_without_postgres_a_command_says_so_and_ends_with_4(tmp_path: Path, command: str) -> None:
    done = chorus(tmp_path, command, DATABASE_URL=NOBODY_LISTENS, FEED_PORT=str(free_port()))
    assert done.returncode == 4, done.stderr
    assert "refused" in done.stderr or "Connect call failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("command", ["migrate", "export"])
def test_a_host_that_nobody_knows_is_no_bug_of_ours(tmp_path: Path, command: str) -> None:
    done = chorus(tmp_path, command, DATABASE_URL="postgresql://u:hunter2@no.such.host.invalid/chorus")
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr


def test_a_feed_on_an_empty_database_names_the_command_that_is_missing(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with fresh_database(postgres_server, "template1") as empty:
        done = chorus(tmp_path, "feed", DATABASE_URL=empty.url_feed, FEED_PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (4, "")
    assert "Run `chorus migrate`." in done.stderr


def test_a_setting_that_only_notify_reads_stops_up_before_anything_starts(tmp_path: Path) -> None:
    done = chorus(tmp_path, "up", RING="wide", REDIS_URL="localhost")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "chorus: these settings don't work:",
        "  CHORUS_REDIS_URL must start with redis:// or rediss:// or redis+sentinel:// or rediss+sentinel:// or "
        "redis+cluster:// or rediss+cluster:// or unix://.",
        "  CHORUS_RING: Expected a whole number.",
    ]
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_written_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    done = chorus(tmp_path, "up")
    assert done.returncode == 4
    assert done.stderr == f"chorus: The data folder {tmp_path / 'data'} can't be written: not a directory. " + (
        "Set CHORUS_DATA_DIR.\n"
    )


def test_a_port_that_is_taken_is_named(tmp_path: Path, database: Database) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for command in ("feed", "notify"):
            done = chorus(tmp_path, command, DATABASE_URL=database.url_feed, FEED_PORT=port, NOTIFY_PORT=port)
            assert done.returncode == 4
            assert f"Port {port} on 127.0.0.1 can't be had" in done.stderr


def test_an_export_to_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path, database: Database) -> None:
    done = chorus(tmp_path, "export", str(tmp_path / "nowhere" / "x" / "out.jsonl"), DATABASE_URL=database.url_feed)
    assert done.returncode == 3, done.stderr
    assert done.stderr == f"{tmp_path / 'nowhere' / 'x'} is no folder that can be written to.\n"


@pytest.mark.parametrize(("arguments", "code"), [(["nonsense"], 2), (["export", "--nonsense"], 2), (["--help"], 0)])
def test_usage_is_2(tmp_path: Path, arguments: list[str], code: int) -> None:
    assert chorus(tmp_path, *arguments).returncode == code
