"""`chorus admin grant`: the first admin, by a command that is recorded."""

import getpass
import json
import os
import subprocess
import sys

import asyncpg

from shared.ids import new_id
from tests.servers import Database


def chorus(database: Database, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What the command says, on this database."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    env |= {"CHORUS_DATABASE_URL": database.url_feed}
    command = [sys.executable, "-m", "services.cli", "admin", "grant", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


async def test_the_first_admin_comes_by_a_command_and_the_last_may_go_by_one(database: Database) -> None:
    connection = await asyncpg.connect(database.url_feed)
    try:
        account = new_id()
        await connection.execute(
            "insert into feed.account (id, handle, display_name, created_at) values ($1, 'ada', 'Ada L.', now())",
            account,
        )
        told = chorus(database, "@Ada", "admin", "--json")
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["account"] == {"id": str(account), "handle": "ada", "display_name": "Ada L."}
        told = chorus(database, "ada", "member")
        assert (told.returncode, told.stdout) == (0, "ada (Ada L.) has the role member.\n")
        rows = await connection.fetch("select * from feed.role_grant order by id")
        assert [(row["before"], row["role"]) for row in rows] == [("member", "admin"), ("admin", "member")]
        assert all(row["origin"] == "command" and row["granted_by"] is None for row in rows)
        assert all(row["operator"] == getpass.getuser() for row in rows)
    finally:
        await connection.close()


def test_a_handle_that_nobody_bears_and_a_role_that_is_none_are_refused(database: Database) -> None:
    nobody = chorus(database, "nobody", "admin")
    assert nobody.returncode == 3
    assert "Nobody bears the handle nobody" in nobody.stderr
    assert chorus(database, "nobody", "king").returncode == 2
