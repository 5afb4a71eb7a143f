"""The SQL that a request runs, as Postgres saw it: read from its log while log_statement is on.

So "the same SQL" is the same by observation, and stays so when the feed changes. Parameters come with it, as text.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from services.bench.stack import Stack, at_once
from services.embedded import Postgres

_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d [^\[]+\[(\d+)\] (?:(\S+)@\S+ )?(LOG|DETAIL|WARNING|ERROR|HINT|CONTEXT|STATEMENT):  "
)
_STATEMENT = re.compile(r"(?:execute [^:]*|statement): (.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+) = (?:NULL|'((?:[^']|'')*)')", re.DOTALL)
SETTLING = 0.3
"""Seconds for a reload of the settings to reach every backend, and for the last line to reach the file."""


class Statement(NamedTuple):
    """One statement as a backend ran it; a parameter that was null is None."""

    pid: int
    role: str
    sql: str
    parameters: tuple[str | None, ...]


@contextmanager
def logged(stack: Stack) -> Iterator[list[Statement]]:
    """Fills the list, when the block ends, with all that ran in it, in order."""
    seen: list[Statement] = []
    _set(stack, "ALTER SYSTEM SET log_statement = 'all'")
    try:
        begin = stack.postgres.log.stat().st_size
        yield seen
        time.sleep(SETTLING)
        with stack.postgres.log.open("rb") as log:
            log.seek(begin)
            seen.extend(parsed(log.read().decode(errors="replace")))
    finally:
        _set(stack, "ALTER SYSTEM RESET log_statement")


def _set(stack: Stack, statement: str) -> None:
    stack.query(statement)
    stack.query("SELECT pg_reload_conf()")
    time.sleep(SETTLING)


def parsed(text: str) -> list[Statement]:
    """The statements of a piece of the log."""
    found: list[Statement] = []
    for pid, role, level, words in _records(text):
        if level == "LOG" and (match := _STATEMENT.fullmatch(words)):
            found.append(Statement(pid, role, match[1].strip(), ()))
        elif level == "DETAIL" and words.lower().startswith("parameters:"):
            for number in range(len(found) - 1, -1, -1):  # its statement is the last of the same backend
                if found[number].pid == pid:
                    found[number] = found[number]._replace(parameters=_parameters(words))
                    break
    return found


def _records(text: str) -> Iterator[tuple[int, str, str, str]]:
    """(pid, role, level, words) of each record; what it continues on is indented by a tab."""
    current: tuple[int, str, str] | None = None
    words: list[str] = []
    for line in text.split("\n"):
        match = _LINE.match(line)
        if match is None:
            words.append(line.removeprefix("\t"))
            continue
        if current is not None:
            yield *current, "\n".join(words)
        current, words = (int(match[1]), match[2] or "", match[3]), [line[match.end() :]]
    if current is not None:
        yield *current, "\n".join(words).rstrip("\n")


def _parameters(words: str) -> tuple[str | None, ...]:
    found = {int(match[1]): match[2] for match in _PARAMETER.finditer(words)}
    values = (found[number] for number in sorted(found))
    return tuple(None if value is None else value.replace("''", "'") for value in values)


def types_of(postgres: Postgres, role: str, sql: str) -> list[str]:
    """The types of a statement's parameters, as Postgres infers them and names them in a cast."""

    async def ask() -> list[str]:
        import asyncpg

        connection = await asyncpg.connect(postgres.url(role))
        try:
            prepared = await connection.prepare(sql)
            return [_cast(kind.schema, kind.name) for kind in prepared.get_parameters()]
        finally:
            await connection.close()

    return at_once(ask())


def _cast(schema: str, name: str) -> str:
    base, array = (name[:-2], "[]") if name.endswith("[]") else (name, "")
    return f'"{schema}"."{base}"{array}'
