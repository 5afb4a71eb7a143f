"""`chorus trace`: why somebody did, or did not, get an event."""

import asyncio
import os
from datetime import datetime
from typing import TYPE_CHECKING

import click

from services.outcome import DONE

if TYPE_CHECKING:
    from services.notify.trace.answer import ForMember, Log, Sessions, Socket, Trace, Traced

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
    """Follow an EVENT, or every event of a POST (or of the post of a comment), from commit to inbox and socket.

    Each by its id: when it committed and was numbered, whether Redis and Postgres hold it, which consumers have passed
    it, whether it was parked, how many sockets follow it. With --member: why they did, or did not, get it, and each of
    their sockets. Reads only; notify processes are asked over Redis, for two seconds at most.
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
    return [*lines, *_sessions(trace.sessions)]


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
    if event.newer is not None:
        lines.append(f"  newer      counts at {event.newer}: what had both in one round was written those alone")
    if event.dead_letter is not None:
        lines.append(f"  DEAD LETTER since {_at(event.dead_letter.parked_at)}: {event.dead_letter.error}")
    if event.member is not None:
        for channel in event.member.channels:
            seen = "may follow it" if channel.may else "may not follow it: it is somebody else's inbox"
            lines.append(f"  {member}: {channel.channel}: {seen}{', and their home does' if channel.home else ''}")
        inbox = event.member.inbox
        line = f" (line {inbox.line}, {inbox.kind}, {'read' if inbox.read else 'unread'})" if inbox.line else ""
        lines.append(f"  {member}: inbox: {inbox.told}{line}. {inbox.why}")
        lines += [f"  {member}: {line}" for line in _sockets(event.member)]
    for crowd in event.crowds or ():
        parts = {
            "went to": crowd.reached,
            "waits for": crowd.behind,
            "was held by": crowd.held,
            "came before": crowd.later,
        }
        said = ", ".join(f"{what} {number}" for what, number in parts.items() if number)
        lines.append(f"  sockets    {crowd.channel}: {crowd.sockets} now, {crowd.guests} of them guests'; it {said}")
    return lines


_GONE = 3
"""Sockets that were closed before the event, or opened after it without it, that are shown."""


def _sockets(member: "ForMember") -> list[str]:
    """Those that were open then or have had it since; of the others only the newest."""
    if member.sockets is None:
        return []
    near = [each for each in member.sockets if each.open_then or each.reached in ("delivered", "held", "pending")]
    others = [each for each in member.sockets if each not in near]
    lines = [_socket(each) for each in near]
    if not any(each.open_then for each in near):
        lines.append("sockets: none of theirs is known to have been connected when it was numbered")
    return [*lines, *(_socket(each) for each in others[:_GONE])]


def _socket(socket: "Socket") -> str:
    from services.notify.trace.sockets import closing

    life = f"open since {_at(socket.opened_at)}"
    if socket.closed_at is not None:
        life = f"{_at(socket.opened_at)} to {_at(socket.closed_at)}, {closing(socket.code)}"
    unsent = f"; {socket.unsent:,} bytes wait for its reader" if socket.unsent else ""
    return f"socket {socket.session} of {socket.process}, {life}: {socket.reached}. {socket.why}{unsent}"


def _sessions(sessions: "Sessions") -> list[str]:
    if sessions.away is not None:
        return [f"sessions: not asked: {sessions.away}"]
    lines = [
        f"sessions: {each.process} has {each.sockets:,} sockets, and knows which were closed since {_at(each.since)}"
        for each in sessions.processes
    ]
    silent = 0 if sessions.heard is None else sessions.heard - len(sessions.processes)
    if silent:
        lines.append(f"sessions: {silent} more heard the question and did not answer in time")
    return lines or ["sessions: no notify process listens on this Redis; what ended processes had is known to nobody"]


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}Z"
