"""The `chorus` command on a test's own database, as an operator runs it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.servers import Database
from tests.stack import SECRET


def environment(database: Database, data: Path, redis_url: str = "") -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    return {
        **clean,
        "CHORUS_DATABASE_URL": database.url_feed,
        "CHORUS_DIRECT_DATABASE_URL": database.url_direct,
        "CHORUS_REDIS_URL": redis_url,
        "CHORUS_SECRET_KEY": SECRET,
        "CHORUS_DATA_DIR": str(data),
    }


def start(env: Mapping[str, str], *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def chorus(env: Mapping[str, str], *arguments: str, code: int = 0) -> str:
    """What the command says on both its outputs, when it ends with `code`."""
    process = start(env, *arguments)
    out, error = await asyncio.to_thread(process.communicate, timeout=90)
    assert process.returncode == code, f"{process.returncode}: {out}{error}"
    return out + error
