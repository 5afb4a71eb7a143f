"""This machine: settings, what embedded servers there are, the data folder, and what runs on it."""

import difflib
import json
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.doctor.finding import Finding, bad, good
from services.embedded import EngineUnavailable, postgres_engine, redis_engine, server_account, started_at
from services.feed.settings import FeedSettings
from services.installation import read_run
from services.notify.settings import NotifySettings
from shared.disk import space
from shared.settings import PREFIX, Common, SettingsError, load

KINDS: tuple[type[Common], ...] = (FeedSettings, NotifySettings)


def settings_found(environ: Mapping[str, str]) -> list[Finding]:
    """Settings that don't work, and names that no setting has."""
    known = {PREFIX + field.name.upper() for kind in KINDS for field in msgspec.structs.fields(kind)}
    known |= {f"{name}_FILE" for name in known}
    given = sorted(name for name in environ if name.startswith(PREFIX) and environ[name].strip())
    faults: dict[str, None] = {}
    for kind in KINDS:
        try:
            load(kind, environ)
        except SettingsError as error:
            faults |= dict.fromkeys(error.faults)
    found = [bad("settings", fault, "Mend it; the README has a table of all settings.") for fault in faults]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            found.append(
                bad("settings", f"{name} is no setting.", f"Did you mean {close[0]}?" if close else "Take it out.")
            )
    return found or [good("settings", f"{len(given)} given: {', '.join(given)}" if given else "none given")]


def proxy_found(settings: Common) -> list[Finding]:
    """Whether callers can be told apart where something else ends their TLS."""
    if settings.trusted_proxies:
        return [good("proxy", f"X-Forwarded-For is believed from {', '.join(settings.trusted_proxies)}")]
    if settings.page_url().startswith("https://"):
        do = "Set CHORUS_TRUSTED_PROXIES to the addresses of what ends TLS."
        return [bad("proxy", "none is trusted, and CHORUS_PUBLIC_URL is https: all callers share one limit", do)]
    return []


def engines_found(settings: Common) -> list[Finding]:
    """The servers that `chorus up` would start where no address is given."""
    account = server_account()
    copies = Path(settings.data_dir).absolute() / "servers"
    finders: list[tuple[str, str, Callable[..., Any]]] = [
        ("embedded postgres", settings.database_url, postgres_engine),
        ("embedded redis", settings.redis_url, redis_engine),
    ]
    findings = []
    for what, url, find in finders:
        try:
            as_whom = f", run as {account.name}" if account else ""
            findings.append(good(what, f"{find(account, copies)}{as_whom}"))
        except EngineUnavailable as error:
            if not url:  # with an address nobody needs one
                findings.append(bad(what, "none", str(error)))
    return findings


def disk_found(what: str, folder: Path) -> Finding:
    """Whether there is room where `folder` lies."""
    try:
        here = space(folder)
    except OSError as error:
        return bad(what, f"{folder}: {error.strerror}", "See whether the disk is mounted and can be read.")
    found = f"{folder}: {here}"
    if not here.low:
        return good(what, found)
    return bad(
        what, found, "Make room now: Postgres stops all writes when its disk is full. CHORUS_RETENTION_DAYS helps."
    )


def run_found(settings: Common) -> list[Finding]:
    """What runs on the data folder, and whether it is able to serve."""
    folder = Path(settings.data_dir).absolute()
    room = disk_found("disk", folder)
    run = read_run(folder)
    if run is None:
        return [room, good("data folder", f"{folder}: no `chorus up` runs on it")]
    chorus = run["processes"]["chorus"]
    if chorus["started"] is not None and started_at(chorus["pid"]) != chorus["started"]:
        found = f"{folder}: its `chorus up` (process {run['pid']}) was killed"
        return [room, bad("data folder", found, "Start it again: it clears up what is left.")]
    findings = [room, good("data folder", f"{folder}: process {run['pid']}, page {run['page_url']}")]
    return findings + [_readiness(name, f"{run[f'{name}_url']}/readyz") for name in ("feed", "notify")]


def _readiness(name: str, url: str) -> Finding:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=3) as reply:
            said: Mapping[str, Any] = json.loads(reply.read())
    except (OSError, ValueError) as error:
        return bad(name, f"{url}: {error}", f"Look at what {name} printed last; it is started again by itself.")
    if said.get("status") == "ok":
        return good(name, f"{url}: ok")
    broken = "; ".join(f"{each['name']}: {each['detail']}" for each in said.get("broken", []))
    return bad(name, f"{url}: {said.get('status')}: {broken}", "Mend what it names; it serves on meanwhile.")
