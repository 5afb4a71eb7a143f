"""Postgres and the log in it: reached in every role, migrated, on time, numbered, followed, and with room left."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from services.doctor.finding import Finding, bad, good
from services.doctor.machine import disk_found
from services.reaching import Unreachable, address, postgres, revision
from shared import clock, migrations
from shared.eventlog.retention import AHEAD
from shared.postgres import load_queries
from shared.settings import Common

asked = load_queries(Path(__file__).parent / "sql" / "doctor.sql")
of_notify = load_queries(Path(__file__).parent.parent / "notify" / "sql" / "health.sql")

OLDEST = 15
FEW_DAYS = 3
"""Partitions made ahead, of AHEAD, at which somebody should ask why no more are made."""
MANY_PENDING = 100_001
STALE = timedelta(seconds=30)
"""How long a committed event may wait for its number, and a consumer that is behind stand still."""
SKEW = 2.0
"""Seconds that our clock may be off Postgres's: ids and tokens bear ours, events bear Postgres's."""

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def postgres_found(settings: Common) -> tuple[list[Finding], str | None, dict[int, Any]]:
    """Findings; and, if it could be asked, the installation's id and each log's row, which Redis is compared with."""
    roles = {
        "feed": ("CHORUS_DATABASE_URL", settings.database_url),
        "notify": ("CHORUS_NOTIFY_DATABASE_URL", settings.postgres_for_notify()),
        "owner": ("CHORUS_DIRECT_DATABASE_URL", settings.postgres_direct()),
    }
    findings: list[Finding] = []
    sessions: dict[str, Session] = {}
    try:
        for name, (setting, url) in roles.items():
            try:
                sessions[name] = await postgres(url, setting)
            except Unreachable as error:
                findings.append(bad(f"postgres ({name})", str(error).split(" Look at ")[0], f"Look at {setting}."))
        if len(sessions) < len(roles):
            return findings, None, {}
        behind = await _schema(sessions["owner"], settings)
        if behind is not None:
            return [behind], None, {}
        about = await asked.about(sessions["feed"])
        findings.append(_version(about, settings))
        for name, check in _CHECKS:
            try:
                findings += await check(sessions[name], settings)
            except asyncpg.InsufficientPrivilegeError as error:
                do = "Let `chorus migrate` run as the owner: it grants what each role needs."
                findings.append(bad(f"postgres ({name})", f"{roles[name][0]}: {error}", do))
        logs = {row["log"]: row async for row in asked.logs(sessions["feed"], most=MANY_PENDING)}
        return findings, about["installation"], logs
    finally:
        for session in sessions.values():
            await session.close()


def _version(about: Any, settings: Common) -> Finding:
    found = f"{about['shown']} at {address(settings.database_url)}, {about['size'] / (1 << 20):,.0f} MiB"
    if about["version"] // 10_000 >= OLDEST:
        return good("postgres", found)
    return bad("postgres", found, f"Chorus needs Postgres {OLDEST} or newer.")


async def _schema(session: Session, settings: Common) -> Finding | None:
    now, newest = await revision(session), _newest_revision()
    if now == newest:
        return None
    if now == "":
        do = "Give CHORUS_DIRECT_DATABASE_URL the role that ran `chorus migrate`."
        return bad("schema", f"{address(settings.postgres_direct())} may not read the schema's revision", do)
    if now is None:
        return bad("schema", "none", "Run `chorus migrate`.")
    return bad("schema", f"{now}, and this release's is {newest}", "Run `chorus migrate`, or the newer release.")


def _newest_revision() -> str | None:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()


_MAY = """SELECT bool_and(has_table_privilege(c.oid, 'insert') AND has_schema_privilege(n.oid, 'usage'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2"""


async def _role_of_feed(session: Session, _settings: Common) -> list[Finding]:
    return await _may_write(session, "feed", "post", "CHORUS_DATABASE_URL")


async def _role_of_notify(session: Session, _settings: Common) -> list[Finding]:
    return await _may_write(session, "notify", "notification", "CHORUS_NOTIFY_DATABASE_URL")


async def _may_write(session: Session, service: str, table: str, setting: str) -> list[Finding]:
    role = await session.fetchval("SELECT current_user::text")
    if await session.fetchval(_MAY, service, table):
        return [good(f"role of {service}", f"{role} may write {service}.{table}")]
    do = f"Give {setting} the role chorus_{service}, or GRANT chorus_{service} TO it."
    return [bad(f"role of {service}", f"{role} may not write {service}.{table}", do)]


async def _owner(session: Session, settings: Common) -> list[Finding]:
    owns = await session.fetchrow(
        "SELECT current_user::text AS role, pg_has_role(nspowner, 'usage') AS owns"
        " FROM pg_namespace WHERE nspname = 'eventlog'"
    )
    if not owns["owns"]:
        do = "Give CHORUS_DIRECT_DATABASE_URL the role that ran `chorus migrate`: it numbers the log."
        return [bad("role of owner", f"{owns['role']} does not own the log's schema", do)]
    findings = [good("role of owner", f"{owns['role']} owns the log's schema")]
    try:
        folder = Path(await session.fetchval("SHOW data_directory"))
    except asyncpg.InsufficientPrivilegeError:
        return findings
    parts = urlsplit(settings.postgres_direct())
    host = parts.hostname or unquote(parse_qs(parts.query).get("host", [""])[0])
    if host in ("", "localhost", "127.0.0.1", "::1") or host.startswith("/"):
        findings.append(disk_found("disk of postgres", folder))
    return findings


async def _clock(session: Session, _settings: Common) -> list[Finding]:
    before = clock.unix()
    theirs: datetime = await session.fetchval("SELECT clock_timestamp()")
    ours = (before + clock.unix()) / 2
    off = ours - theirs.timestamp()
    found = f"ours is {abs(off):.3f} s {'ahead of' if off > 0 else 'behind'} Postgres's"
    if abs(off) <= SKEW:
        return [good("clock", found)]
    return [bad("clock", found, "Let both machines keep time (NTP): ids and tokens bear our clock.")]


async def _logs(session: Session, _settings: Common) -> list[Finding]:
    findings = []
    async for row in asked.logs(session, most=MANY_PENDING):
        found = (
            f"epoch {row['epoch']}, {row['floor']:,} to {row['head']:,} held, {row['events']:,} waiting for a number"
        )
        late = row["oldest"] is not None and clock.now() - row["oldest"] > STALE
        what = f"log {row['log']}"
        if row["leader"] is None:
            do = "Start `chorus sequencer`: nothing is lost, and nobody is told until one leads."
            findings.append(bad(what, f"{found}; nobody numbers it", do))
        elif late:
            do = f"Look at the sequencer's log; its session is Postgres process {row['leader']}."
            findings.append(bad(what, f"{found}, the oldest since {row['oldest']:%H:%M:%S}Z", do))
        else:
            findings.append(good(what, found))
    return findings


async def _consumers(session: Session, _settings: Common) -> list[Finding]:
    findings = []
    async for row in asked.consumers(session):
        what = f"consumer {row['name']}"
        moved = f"{row['moved_at']:%Y-%m-%d %H:%M:%S}Z"
        found = f"at {row['seq']:,} of log {row['log']}, {row['behind']:,} behind, moved {moved}"
        if row["waits"] is not None and clock.now() - row["waits"] > STALE:
            do = "Look at notify's log. Days that it has not passed are kept, and fill the disk."
            findings.append(bad(what, found, do))
        else:
            findings.append(good(what, found))
    return findings or [bad("consumers", "none ever ran", "Start `chorus notify`: without it nobody is notified.")]


async def _days(session: Session, _settings: Common) -> list[Finding]:
    return await days_found(session)


async def days_found(session: Session) -> list[Finding]:
    """Whether days are made ahead, and whether nothing had to go to the default partition."""
    today = clock.now().strftime("%Y%m%d")
    days = [row["day"] async for row in asked.days(session)]
    ahead = sum(day > today for day in days)
    found = f"{len(days)} days, from {days[0] if days else '–'}; {ahead} made ahead, of {AHEAD}"
    if today in days and ahead >= FEW_DAYS:
        findings = [good("partitions", found)]
    else:
        do = "Start `chorus sequencer`, which makes them; then look for `retention_failed` in its log."
        findings = [bad("partitions", found, do)]
    stray = await asked.stray(session)
    if stray["events"] or stray["entries"]:
        do = (
            "The sequencer moves what belongs to days that it makes; what stays has a time far from now: see the clock."
        )
        return [*findings, bad("default partition", "not empty", do)]
    return [*findings, good("default partition", "empty")]


async def _waiting(session: Session, _settings: Common) -> list[Finding]:
    do = "Mend the cause (`chorus trace EVENT` tells of one), then `chorus admin replay`."
    findings = [
        bad(
            f"dead letter {row['type']}",
            f"{row['letters']} since {row['since']:%Y-%m-%d %H:%M}Z, the first at {row['first']}: {row['error']}",
            do,
        )
        async for row in of_notify.dead_letters(session)
    ] or [good("dead letters", "none")]
    jobs = await of_notify.jobs(session)
    found = f"{jobs['jobs']} under way, {jobs['failing']} failing"
    if jobs["failing"]:
        return [
            *findings,
            bad("fan-out jobs", f"{found}: {jobs['error']}", "They are tried again; look at notify's log."),
        ]
    return [*findings, good("fan-out jobs", found)]


_CHECKS: list[tuple[str, Callable[[Session, Common], Awaitable[list[Finding]]]]] = [
    ("feed", _role_of_feed),
    ("notify", _role_of_notify),
    ("owner", _owner),
    ("feed", _clock),
    ("feed", _logs),
    ("feed", _consumers),
    ("feed", _days),
    ("notify", _waiting),
]
"""Each with the role that asks."""
