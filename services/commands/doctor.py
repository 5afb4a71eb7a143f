"""`chorus doctor`: what is here, what runs, and what is wrong with it."""

import asyncio
import json
import os
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from services.installation import reachable, read_run
from services.outcome import DONE, FAILED
from shared.settings import Common, load

Finding = tuple[str, bool, str]
"""(what, whether it is well, in words)"""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> int:
    """Look at this machine and at what runs on its data folder; exit 1 when something is wrong."""
    environ = reachable(os.environ)
    settings = load(Common, environ)
    folder = Path(settings.data_dir).absolute()
    findings = [*_engines(folder), *_run(folder), *_stores(settings)]
    if as_json:
        click.echo(json.dumps([{"what": what, "ok": ok, "found": found} for what, ok, found in findings], indent=2))
    else:
        for what, ok, found in findings:
            click.echo(f"{'ok  ' if ok else 'BAD '} {what:<14} {found}")
    return DONE if all(ok for _, ok, _ in findings) else FAILED


def _engines(folder: Path) -> list[Finding]:
    from services.embedded import EngineUnavailable, postgres_engine, redis_engine, server_account

    account = server_account()
    findings: list[Finding] = [("account", True, account.name if account else "yours")]
    finders: dict[str, Callable[..., Any]] = {"postgres found": postgres_engine, "redis found": redis_engine}
    for what, find in finders.items():
        try:
            findings.append((what, True, str(find(account, folder / "servers"))))
        except EngineUnavailable as error:
            findings.append((what, False, str(error)))
    return findings


def _run(folder: Path) -> list[Finding]:
    run = read_run(folder)
    if run is None:
        return [("data folder", True, f"{folder}: nothing runs on it")]
    findings: list[Finding] = [("data folder", True, f"{folder}: process {run['pid']}, page {run['page_url']}")]
    return findings + [(name, *_readiness(f"{run[f'{name}_url']}/readyz")) for name in ("feed", "notify")]


def _readiness(url: str) -> tuple[bool, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=3) as reply:
            said: Mapping[str, Any] = json.loads(reply.read())
    except (OSError, ValueError) as error:
        return False, f"{url}: {error}"
    return said.get("status") == "ok", f"{url}: {json.dumps(said)}"


def _stores(settings: Common) -> list[Finding]:
    findings: list[Finding] = []
    if settings.database_url:
        findings.append(("postgres", *asyncio.run(_asked(_postgres(settings.postgres_direct())))))
    if settings.redis_url:
        findings.append(("redis", *asyncio.run(_asked(_redis(settings.redis_url)))))
    return findings


async def _asked(question: Any) -> tuple[bool, str]:
    """The answer, or in words why there is none; addresses may hold passwords and stay out."""
    try:
        return True, await asyncio.wait_for(question, 5)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


async def _postgres(url: str) -> str:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        version: str = await connection.fetchval("SHOW server_version")
        migrated = await connection.fetchval("SELECT to_regclass('public.migration') IS NOT NULL")
        return f"{version}, schema {'there' if migrated else 'not migrated: run `chorus migrate`'}"
    finally:
        await connection.close()


async def _redis(url: str) -> str:
    from redis.asyncio import Redis

    async with Redis.from_url(url) as client:
        told = await client.info("server")
        return f"{told.get('valkey_version') or told['redis_version']}, up {told['uptime_in_seconds']} s"
