"""`chorus doctor`: what is here, what runs, and what is wrong with it."""

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from services.outcome import DONE, FAILED

if TYPE_CHECKING:
    from services.doctor.finding import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> int:
    """Look at this machine, its servers and the log; exit 1 when something is to be done, and say what.

    Beside a running `chorus up` it looks at that; otherwise at what the settings name. Reads only.
    """
    import msgspec

    findings = _findings()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            click.echo(f"{'ok  ' if finding.ok else 'BAD '} {finding.what:<{width}}  {finding.found}")
            if finding.do:
                click.echo(f"     {'':<{width}}  → {finding.do}")
    return DONE if all(finding.ok for finding in findings) else FAILED


def _findings() -> "list[Finding]":
    from services.doctor.database import postgres_found
    from services.doctor.machine import engines_found, proxy_found, run_found, settings_found
    from services.doctor.photos import photos_found
    from services.doctor.stream import redis_found
    from services.installation import reachable
    from shared.settings import Common, SettingsError, load

    findings = settings_found(os.environ)
    try:
        settings = load(Common, reachable(os.environ))
    except SettingsError:
        return findings

    async def servers() -> "list[Finding]":
        found: list[Finding] = []
        installation: str | None = None
        logs: dict[int, Any] = {}
        if settings.database_url:
            found, installation, logs = await postgres_found(settings)
        if settings.redis_url:
            found += await redis_found(settings.redis_address(), installation, logs)
        return [*found, *await photos_found(settings)]

    here = [*findings, *proxy_found(settings), *engines_found(settings), *run_found(settings)]
    return [*here, *asyncio.run(servers())]
