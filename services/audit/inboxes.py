"""Inboxes: counts equal to their lines, nobody told twice of one cause, and no line whose cause is gone.

The last is true only once the notifier has come by, so what is found is looked at again when it has.
"""

import asyncio
from pathlib import Path
from typing import Any

from services.audit.finding import Finding, Tally
from services.audit.reading import pages, snapshot
from services.progress import Report
from shared import clock
from shared.postgres import Connection, load_queries

asked = load_queries(Path(__file__).parents[1] / "notify" / "sql" / "audit.sql")

PAGE = 500
"""Inboxes a page."""
MOST = 1_000
"""Lines without a cause that are looked at again."""
PATIENCE = 15.0
"""Seconds that the notifier gets to handle what was committed when such lines were found."""
_EVERY = 0.2


async def counted(connection: Connection, report: Report) -> list[Finding]:
    """Four findings: unread, told twice, causes, and the notifier's own place."""
    unread = Tally(
        "unread",
        "inbox",
        "inboxes",
        means="A badge shows a wrong number until its member reads the inbox.",
        do="Marking it as read counts afresh. Look for a write to notify.notification that did not hold its inbox.",
    )
    twice = Tally(
        "told once",
        "inbox",
        "inboxes",
        means="A member was told twice of the same thing.",
        do="Put the constraint `unique (account_id, cause)` of notify.notification back, and delete the later lines.",
    )
    causes = Tally(
        "causes stand",
        "inbox",
        "inboxes",
        means="A line leads to what is deleted, withdrawn or no longer mentions its member.",
        do="If `chorus doctor` shows dead letters: mend their cause, `chorus admin replay`. Otherwise report it with "
        "what `chorus trace POST --member HANDLE` says.",
    )
    doubtful: list[Any] = []
    moment = ""
    async for page in pages(connection, asked.inboxes_edge, PAGE):
        between = {"after": page.after, "last": page.last}
        moment = await asked.moment(connection)
        unread.add(page.looked, [_miscounted(row) async for row in asked.wrong_inboxes(connection, **between)])
        twice.add(page.looked, [_repeated(row) async for row in asked.told_twice(connection, **between)])
        causes.add(page.looked)
        room = MOST - len(doubtful)
        if room > 0:
            doubtful += [row async for row in asked.without_cause(connection, **between, most=room)]
        report("inboxes", unread.looked, 0)
    return [
        unread.finding(),
        twice.finding(),
        await _caused(connection, causes, doubtful, moment),
        await _place(connection),
    ]


async def _caused(connection: Connection, tally: Tally, doubtful: list[Any], moment: str) -> Finding:
    if not doubtful:
        return tally.finding()
    if not await _handled(connection, moment):
        return tally.unknown(
            f"{len(doubtful):,} lines have no cause, and the notifier has not handled all that was committed by then: "
            "see `chorus doctor`, and ask again"
        )
    lines = {(row["account_id"], row["id"]) for row in doubtful}
    for account in sorted({row["account_id"] for row in doubtful}):
        async with snapshot(connection):
            again = [row async for row in asked.without_cause(connection, after=account - 1, last=account, most=MOST)]
        tally.add(
            0,
            (
                f"line {row['id']} of account {account} ({row['kind']}, post {row['post_id']})"
                for row in again
                if (account, row["id"]) in lines
            ),
        )
    return tally.finding()


async def _handled(connection: Connection, moment: str) -> bool:
    """Whether the notifier has handled all that was visible at a moment; waits for that, and gives up."""
    until = clock.monotonic() + PATIENCE
    wanted: dict[int, int] = {}
    while clock.monotonic() < until:
        async with snapshot(connection):
            for row in [each async for each in asked.numbered_through(connection, moment=moment)]:
                if row["numbered"]:
                    wanted.setdefault(row["log"], row["seq"])
                else:
                    wanted.pop(row["log"], None)
            reached = {row["log"]: row["seq"] async for row in asked.cursors(connection)}
            logs = len(reached)
        if logs and len(wanted) >= logs and all(reached.get(log, -1) >= seq for log, seq in wanted.items()):
            return True
        await asyncio.sleep(_EVERY)
    return False


async def _place(connection: Connection) -> Finding:
    tally = Tally(
        "notifier's place",
        "log",
        means="The notifier claims to have handled what was never numbered: whoever is told of there is never told.",
        do="Stop notify, `update notify.cursor set seq = (the head)`, start it again.",
    )
    async with snapshot(connection):
        for row in [each async for each in asked.cursors(connection)]:
            # One of an older epoch is set right by the notifier itself, when it next takes it.
            past = row["seq"] > row["head"] and row["epoch"] >= row["log_epoch"]
            tally.add(1, [f"at {row['seq']} of log {row['log']}, whose head is {row['head']}"] if past else [])
    return tally.finding()


def _miscounted(row: Any) -> str:
    if row["unread"] != row["true_unread"]:
        return f"inbox {row['account_id']}: unread {row['unread']}, rows say {row['true_unread']}"
    return f"inbox {row['account_id']}: it remembers to have given out {row['last_id']}, and holds {row['newest']}"


def _repeated(row: Any) -> str:
    return f"inbox {row['account_id']}: {row['times']} lines of {row['cause']}"
