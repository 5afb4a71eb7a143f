"""`chorus audit`: whether what is stored keeps the promise."""

import asyncio
import os
from typing import TYPE_CHECKING

import click

from services.outcome import DONE, FAILED, UNAVAILABLE

if TYPE_CHECKING:
    from services.audit.finding import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> int:
    """Prove on what is stored that the promise was kept: the log, its stream in Redis, counts, topics, photos, roles,
    inboxes.

    Exit 0: nothing is wrong; 1: something is, and each finding says what it means and what to do; 4: something could
    not be looked at. Reads only, page by page, beside a running community. `chorus doctor` looks at servers and
    settings.
    """
    import msgspec

    from services.audit.auditing import audited
    from services.feed.settings import FeedSettings
    from services.installation import reachable
    from services.progress import progress
    from services.reaching import Unreachable, address
    from shared.settings import load

    settings = load(FeedSettings, reachable(os.environ))
    if not settings.database_url:
        raise Unreachable("Chorus does not run here: start `chorus up`, or set CHORUS_DATABASE_URL.")
    with progress(shown=not as_json) as report:
        findings = asyncio.run(audited(settings, report))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        click.echo(f"In {address(settings.database_url)}:")
        click.echo(
            "\n".join(line for finding in findings for line in _told(finding, max(len(f.what) for f in findings)))
        )
    if any(finding.ok is False for finding in findings):
        return FAILED
    return UNAVAILABLE if any(finding.ok is None for finding in findings) else DONE


def _told(finding: "Finding", width: int) -> list[str]:
    mark = {True: "ok  ", False: "BAD ", None: "?   "}[finding.ok]
    lines = [f"{mark} {finding.what:<{width}}  {finding.found}"]
    if finding.means:
        lines.append(f"     {'':<{width}}  {finding.means}")
    if finding.do:
        lines.append(f"     {'':<{width}}  → {finding.do}")
    return lines
