"""The harness is checked by what it is for: code that breaks a sentence of the promise does not pass the torture.

`make mutants` has a test for each rule; this is one mutant for each sentence, judged by a whole run that knows nothing
of it. What only many events or a rare moment would show (a window of more than a page) is left to those tests.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest

from services.torture import scratch
from services.torture.report import Report
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Copy
from tests.mutants.run import copies

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
CASES = {
    "append in a transaction of its own": "feed-before-commit",
    "open transactions forgotten": "postgres-held-open",
    "tail's density check dropped": "redis-trimmed-past-reader,redis-promoted",
    "versions stand still": "feed-killed",
    "numbering waits for Redis": "redis-down",
    "a flush opens an epoch": "redis-flushed",
    "a round goes to who is full": "readers-stopped",
    "the last of a slice gets nothing": "all-reconnect",
    "the newest first": "notify-killed",
    "cursor moved outside the transaction": "notifier-before-cursor",
}


async def tortured(root: Path, faults: str) -> Report:
    """What a run in that tree ends with."""
    command = [sys.executable, "-m", "services.cli", "torture", "--json"]
    command += ["--seed", "mutant", "--minutes", "1", "--clients", "40", "--faults", faults]
    env = {**os.environ, "PYTHONPATH": str(root)}
    process = await asyncio.create_subprocess_exec(*command, cwd=root, env=env, stdout=asyncio.subprocess.PIPE)
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    report = msgspec.json.decode(said, type=Report)
    assert process.returncode == bool(report.wrong)
    if report.kept:
        scratch.clear(Path(report.kept), keep_logs=False)
    return report


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "faults"), CASES.items(), ids=CASES)
async def test_a_broken_promise_does_not_pass(name: str, faults: str) -> None:
    with copies(1) as [root]:
        Copy(root).apply(BY_NAME[name])
        report = await tortured(root, faults)
    assert report.wrong, f"{BY_NAME[name].rule}: nobody noticed"
