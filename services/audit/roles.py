"""Roles: nobody has one that no record gave them, and the records of one member follow each other."""

from typing import Any

from services.audit.counts import asked
from services.audit.finding import Finding, Tally
from services.audit.reading import snapshot
from services.progress import Report
from shared.postgres import Connection


async def recorded(connection: Connection, _report: Report) -> list[Finding]:
    """One finding for everybody who has, or had, a role."""
    tally = Tally(
        "roles",
        "member with a role or a record",
        "members with a role or a record",
        means="Somebody may do what nobody is on record for having let them do, or a record was taken away.",
        do="Ask who changed feed.account or feed.role_grant by hand. `chorus admin grant HANDLE member`, and then the "
        "role that is meant, puts it on record.",
    )
    async with snapshot(connection):
        wrong = [_said(row) async for row in asked.wrong_roles(connection)]
        tally.add(await asked.roles_looked_at(connection), wrong)
    return [tally.finding()]


def _said(row: Any) -> str:
    if row["record"] is None:
        return f"account {row['account_id']} is {row['has']}, on record {row['recorded']}"
    return f"account {row['account_id']}: record {row['record']} goes from {row['has']}, after {row['recorded']}"
