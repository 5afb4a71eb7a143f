"""The limit of the POST row: the statements that the feed runs for a post, sent by pgbench without Python between.

Each of 16 clients replays its own request: its author, topic and parameters. Where a parameter is or holds the new
post's id, a fresh one goes in, rising like the feed's, so that pages of the indexes fill in the same order.
"""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import asyncpg

from services.bench.bench import Bench
from services.bench.stack import NotUp, at_once
from services.bench.statements import Statement, types_of
from shared.ids import new_id

CLIENTS = 16
Bind = Callable[[str], str]

_HOUSEKEEPING = re.compile(r"\s*(SELECT pg_advisory_unlock_all|CLOSE ALL|RESET ALL|SET )", re.IGNORECASE)
"""What a driver's pool sends between requests: no part of the request's SQL."""


class Replay(NamedTuple):
    """One request's statements, a type for every parameter, and the id that must be new each time."""

    statements: list[Statement]
    types: list[list[str]]
    fresh_id: str


def replay_of(bench: Bench, statements: list[Statement], fresh_id: str) -> Replay:
    """What can be replayed of the statements that one request ran."""
    kept = [one for one in statements if not _HOUSEKEEPING.match(one.sql)]
    kinds = [types_of(bench.stack.postgres, one.role, one.sql) if one.parameters else [] for one in kept]
    return Replay(kept, kinds, fresh_id)


def pgbench(bench: Bench) -> Path | None:
    """The one of the server that runs, else the one on PATH."""
    beside = bench.stack.postgres.engine.program.with_name("pgbench")
    found = shutil.which("pgbench")
    return beside if beside.exists() else Path(found) if found else None


def per_second(bench: Bench, replays: list[Replay], seconds: float) -> tuple[float, str]:
    """How often a second Postgres takes a whole replay, from CLIENTS connections, and who asked."""
    program = pgbench(bench)
    if program is None:
        return at_once(_by_asyncpg(bench, replays, seconds)), "asyncpg loop: pgbench is missing"
    return _by_pgbench(bench, program, replays, seconds), "pgbench"


def _by_pgbench(bench: Bench, program: Path, replays: list[Replay], seconds: float) -> float:
    values: dict[str, str] = {"base": str(new_id()), "n": "0"}
    names = (f"v{number}" for number in count())

    def bind(value: str) -> str:
        name = next(names)
        values[name] = value
        return f":{name}"

    lines = [r"\set n :n + 1", rf"\set id :base + :n * {CLIENTS} + :client_id"]
    for client, replay in enumerate(replays):
        written = [_written(replay, number, bind, ":id") for number in range(len(replay.statements))]
        lines += [rf"\if :client_id = {client}", *written, r"\endif"]
    script = bench.file("post.sql", "\n".join(lines).encode())
    options = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(max(1, round(seconds)))]
    command = [str(program), *options, *(f"--define={name}={value}" for name, value in values.items())]
    command += ["-f", str(script), bench.stack.postgres.url("chorus_feed")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)  # noqa: S603
    rate = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or rate is None or (failed and failed[1] != "0"):
        raise NotUp(f"pgbench: {(done.stderr or done.stdout).strip()[-400:]}")
    return float(rate[1])


async def _by_asyncpg(bench: Bench, replays: list[Replay], seconds: float) -> float:
    """A Python loop costs more than pgbench, so this limit is too low by what that costs."""
    base, until = new_id(), time.monotonic() + seconds

    async def client(number: int) -> int:
        connection = await asyncpg.connect(bench.stack.postgres.url("chorus_feed"))
        replay, done = replays[number % len(replays)], 0
        steps = []
        for place in range(len(replay.statements)):
            given: list[str | None] = []
            sql = _written(replay, place, lambda value, given=given: _numbered(given, value), None, given)  # type: ignore[misc]
            steps.append((await connection.prepare(sql), given))
        while time.monotonic() < until:
            fresh = str(base + done * CLIENTS + number)
            for statement, values in steps:
                await statement.fetch(*(fresh if value is None else value for value in values))
            done += 1
        await connection.close()
        return done

    return sum(await asyncio.gather(*map(client, range(CLIENTS)))) / seconds


def _numbered(given: list[str | None], value: str | None) -> str:
    """One more parameter, sent as text whatever it becomes; None is the fresh id."""
    given.append(value)
    return f"${len(given)}::text"


def _written(replay: Replay, number: int, bind: Bind, fresh: str | None, given: list[str | None] | None = None) -> str:
    """A statement with its parameters bound anew, on one line: pgbench takes no comments.

    `fresh` stands for the new id wherever it is needed; None: it is one more parameter in `given`.
    """
    statement, kinds = replay.statements[number], replay.types[number]

    def new() -> str:
        return fresh if fresh is not None else _numbered(given if given is not None else [], None)

    def place(match: re.Match[str]) -> str:
        value, kind = statement.parameters[int(match[1]) - 1], kinds[int(match[1]) - 1]
        if value is None:
            return f"(NULL::{kind})"
        if value == replay.fresh_id:
            return f"({new()}::{kind})"
        if replay.fresh_id in value and not value.startswith("\\x"):
            return f"(replace({bind(value)}::text, '{replay.fresh_id}', {new()}::text)::{kind})"
        return f"({bind(value)}::{kind})"

    sql = re.sub(r"--[^\n]*", "", statement.sql)
    return " ".join(re.sub(r"\$(\d+)", place, sql).split()).rstrip(";") + ";"
