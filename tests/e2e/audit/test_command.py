"""`chorus audit` beside writers, and as a command."""

import asyncio
import json
from pathlib import Path

from services.audit.auditing import audited
from services.audit.finding import SHOWN, Tally
from tests.e2e.audit.community import Copy, live, of, wrong
from tests.e2e.audit.damages import first_file
from tests.e2e.test_refusals import chorus
from tests.servers import Database
from tests.stack import Stack


async def test_a_community_that_is_written_to_meanwhile_is_healthy(
    services: Stack, database: Database, redis_url: str, tmp_path: Path
) -> None:
    async def write(until: asyncio.Event) -> None:
        while not until.is_set():
            await live(services)

    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(write(done))
        try:
            for _ in range(4):
                assert wrong(await audited(of(database, redis_url, tmp_path), lambda *_: None)) == {}
        finally:
            done.set()


def test_the_command_says_it_in_words_in_json_and_with_its_code(copy: Copy, tmp_path: Path) -> None:
    settings = copy.settings
    urls = {
        "DATABASE_URL": settings.database_url,
        "NOTIFY_DATABASE_URL": settings.notify_database_url,
        "REDIS_URL": settings.redis_url,
        "DATA_DIR": settings.data_dir,
    }
    done = chorus(tmp_path, "audit", **urls)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "ok   positions dense" in done.stdout
    without = chorus(tmp_path, "audit", **{**urls, "REDIS_URL": ""})
    assert without.returncode == 0
    away = chorus(tmp_path, "audit", **{**urls, "REDIS_URL": "redis://127.0.0.1:1"})
    assert away.returncode == 4
    assert "?    streams of Redis" in away.stdout
    one_role = chorus(tmp_path, "audit", **{**urls, "NOTIFY_DATABASE_URL": ""})
    assert (one_role.returncode, "Traceback" in one_role.stderr) == (4, False)
    assert "permission denied for schema notify. Look at CHORUS_DATABASE_URL and" in one_role.stderr
    first_file(copy.media, "served").unlink()
    bad = chorus(tmp_path, "audit", "--json", **urls)
    assert bad.returncode == 1
    [finding] = [each for each in json.loads(bad.stdout) if not each["ok"]]
    assert (finding["what"], finding["wrong"], len(finding["ids"])) == ("files of photos", 1, 1)
    no_postgres = chorus(tmp_path, "audit", DATABASE_URL="postgresql://chorus_feed:hunter2@127.0.0.1:1/chorus")
    assert no_postgres.returncode == 4
    assert "hunter2" not in no_postgres.stderr
    assert "Traceback" not in no_postgres.stderr


def test_however_much_is_wrong_only_the_first_are_named() -> None:
    tally = Tally("things", "thing", means="m", do="d")
    tally.add(1_000, (str(number) for number in range(500)))
    found = tally.finding()
    assert (found.wrong, len(found.ids)) == (500, SHOWN)
    assert found.found.startswith("500 wrong, of 1,000 things: 0; 1; 2")
    assert found.found.endswith(f"and {500 - SHOWN} more")
