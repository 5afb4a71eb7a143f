"""A session that Postgres ends has three kinds of error in asyncpg, one of them for a statement sent meanwhile
(`InternalClientError: cannot switch to state 12`, MagicStack/asyncpg#1069). Who survives one survives all."""

import ast
from pathlib import Path

import asyncpg
import pytest

from services.notify.inbox.dead_letters import is_of_the_event
from shared.postgres import POSTGRES_AWAY

ROOT = Path(__file__).parents[2]
ENDED = [
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.InterfaceError("the underlying connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    ConnectionResetError("connection lost"),
]


@pytest.mark.parametrize("error", ENDED, ids=lambda error: type(error).__name__)
def test_an_ended_session_is_an_outage_and_no_event_is_parked_for_it(error: Exception) -> None:
    assert isinstance(error, POSTGRES_AWAY)
    assert not is_of_the_event(error)


def test_nobody_names_one_kind_and_forgets_the_other() -> None:
    """`chorus torture`, seed c2: a follower that met the third kind while it filled its ring ended its process."""
    forgetful = []
    for top in ("shared", "services"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Tuple):
                    named = {each.attr for each in node.elts if isinstance(each, ast.Attribute)}
                    if "InterfaceError" in named and "InternalClientError" not in named:
                        forgetful.append(f"{path.relative_to(ROOT)}:{node.lineno}")
                elif isinstance(node, ast.ExceptHandler) and ast.unparse(node.type or node) == "asyncpg.InterfaceError":
                    forgetful.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not forgetful
