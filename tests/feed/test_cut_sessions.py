"""Postgres ends sessions while every call of the document is made: each answer is one that the call may give, no 500.

`chorus torture` found 500s while Postgres restarted. What a statement raises then depends on the moment in which it is
met, so the sessions are ended over and over while all calls go on.
"""

import asyncio
from collections import Counter
from typing import Any

from tests.feed.community import Community, Member
from tests.feed.test_openapi import example_calls

ROUNDS = 6
_END = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'chorus feed'"""


async def storm(community: Community, over: asyncio.Event) -> int:
    """Ends every session of the feed, again and again; returns how many there were."""
    ended = 0
    while not over.is_set():
        ended += await community.owner.fetchval(_END)
        await asyncio.sleep(0.02)
    return ended


async def test_no_call_answers_500_while_its_sessions_are_ended(serve: Any) -> None:
    plenty = dict.fromkeys(("writes_per_minute", "signups_per_hour", "sign_in_attempts", "letters_per_hour"), 100_000)
    community: Community = await serve(**plenty)
    member: Member = await community.member()
    calls = await example_calls(community, member)
    statuses: Counter[int] = Counter()
    broken: list[str] = []

    async def make(method: str, template: str, options: dict[str, Any]) -> None:
        sent = {name: value for name, value in options.items() if name != "path"}
        answer = await member.call(method, options["path"], sent.pop("body", None), **sent)
        statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            broken.append(f"{method} {template}: {answer.status_code} {answer.text[:200]}")

    over = asyncio.Event()
    ending = asyncio.create_task(storm(community, over))
    for _ in range(ROUNDS):
        await asyncio.gather(*(make(*call) for call in calls))
    over.set()
    assert await ending > 10
    assert not broken, "\n".join(broken)
    assert statuses[503], f"nobody was cut off: {statuses}"
