"""`chorus trace`: why somebody did, or did not, get an event."""

import asyncio
import os
from datetime import datetime
from typing import TYPE_CHECKING

import click

from services.outcome import DONE

if TYPE_CHECKING:
    from services.notify.trace.answer import Log, Trace, Traced

_STREAM = {
    "there": "there",
    "not yet": "not yet: the stream ends before it",
    "trimmed": "trimmed away: readers take it from Postgres",
    "missing": "missing, though the stream goes on behind it (redacted?): readers take it from Postgres",
    "not numbered": "–",
    "redis is away": "unknown, Redis is away: readers take it from Postgres",
    "no redis": "none, CHORUS_REDIS_URL is not set: readers take it from Postgres",
}


@click.command()
@click.argument("number", metavar="EVENT|POST")
@click.option("--member", metavar="HANDLE", help="Also: what this member may see of it, and why they were (not) told.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(number: str, member: str | None, as_json: bool) -> int:
    """Follow an EVENT, or every event of a POST (or of the post of a comment), from commit to inbox.

    Each by its id: when it committed and was numbered, whether Redis and Postgres hold it, which consumers have passed
    it, whether it was parked. With --member: why they did, or did not, get it. Reads only.
    """
    import msgspec

    from services.installation import reachable
    from services.notify.settings import NotifySettings
    from services.reaching import Unreachable, address
    from shared.ids import parse_id
    from shared.settings import load

    settings = load(NotifySettings, reachable(os.environ))
    if not settings.database_url:
        raise Unreachable("Chorus does not run here: start `chorus up`, or set CHORUS_DATABASE_URL.")
    asked = parse_id(number)
    if asked is None:
        raise click.BadParameter("expected the id of an event, a post or a comment: digits.", param_hint="EVENT|POST")
    url = settings.postgres_for_notify()
    trace = asyncio.run(_trace(url, settings.redis_address(), asked, member))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(trace)).decode())
    else:
        click.echo(f"In {address(url)}:")
        click.echo("\n".join(_told(trace)))
    return DONE


async def _trace(url: str, redis_url: str, number: int, member: str | None) -> "Trace":
    from services.notify.trace.tracing import trace
    from services.reaching import check_schema, postgres

    await check_schema(url)
    connection = await postgres(url, "CHORUS_NOTIFY_DATABASE_URL, else CHORUS_DATABASE_URL,")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await trace(connection, redis_url, number, member)
    finally:
        await connection.close()


def _told(trace: "Trace") -> list[str]:
    lines = []
    if trace.post is not None:
        gone = ", deleted since" if trace.post.deleted else ""
        number = "1 event" if len(trace.events) == 1 else f"{len(trace.events)} events"
        lines.append(f"Post {trace.post.post} by {trace.post.author}{gone}: {number}, oldest first.")
    if trace.note:
        lines.append(trace.note)
    for event in trace.events:
        log = next(log for log in trace.logs if log.log == event.log)
        lines += ["", *_event(event, log, trace.member)]
    lines.append("")
    for log in trace.logs:
        redis = f"Redis not asked ({log.redis})" if log.redis else f"stream {log.stream_first} to {log.stream_last}"
        lines.append(f"log {log.log}: epoch {log.epoch}, Postgres holds {log.floor} to {log.head}; {redis}")
    for each in trace.consumers:
        behind = f"{each.behind} behind" if each.behind else "at the head"
        lines.append(f"consumer {each.name}: at {each.seq} of log {each.log}, {behind}, moved {_at(each.moved_at)}")
    return [*lines, f"sessions: {trace.sessions}"]


def _event(event: "Traced", log: "Log", member: str | None) -> list[str]:
    lines = [f"event {event.event}  {event.type}", f"  appended   {_at(event.appended_at)}, and committed since"]
    if event.position is None or event.numbered_at is None:
        lines.append(f"  position   none yet: committed and not numbered. Does a sequencer lead log {event.log}?")
    else:
        lines += [
            f"  position   {event.position} of log {event.log}, numbered {_at(event.numbered_at)}",
            f"  Postgres   {'held' if int(event.position.split('-')[1]) >= log.floor else 'below the floor'}",
            f"  Redis      {_STREAM[event.stream]}",
        ]
    if event.request is not None:
        lines.append(f"  request    {event.request}")
    lines.append(f"  channels   {' '.join(event.channels)}")
    if event.passed:
        lines.append(f"  passed by  {', '.join(event.passed)}")
    if event.waiting:
        lines.append(f"  waits for  {', '.join(event.waiting)}")
    if event.dead_letter is not None:
        lines.append(f"  DEAD LETTER since {_at(event.dead_letter.parked_at)}: {event.dead_letter.error}")
    if event.member is not None:
        for channel in event.member.channels:
            seen = "may follow it" if channel.may else "may not follow it: it is somebody else's inbox"
            lines.append(f"  {member}: {channel.channel}: {seen}{', and their home does' if channel.home else ''}")
        inbox = event.member.inbox
        line = f" (line {inbox.line}, {inbox.kind}, {'read' if inbox.read else 'unread'})" if inbox.line else ""
        lines.append(f"  {member}: inbox: {inbox.told}{line}. {inbox.why}")
    return lines


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}Z"
