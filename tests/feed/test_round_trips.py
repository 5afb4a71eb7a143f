"""What a write costs in questions to Postgres: naming the request that caused an event costs none."""

from typing import Any

import asyncpg
import pytest

from tests.feed.community import Community, made


async def test_a_post_and_the_request_that_it_names_are_one_round_trip(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await community.member()
    await ada.post("#tea first")  # the topic is made, the session and the author are remembered
    asked: list[str] = []
    for name in ("_execute", "execute"):
        whole = getattr(asyncpg.Connection, name)

        async def noted(self: Any, query: str, *args: Any, _whole: Any = whole, **options: Any) -> Any:
            asked.append(query)
            return await _whole(self, query, *args, **options)

        monkeypatch.setattr(asyncpg.Connection, name, noted)
    answer = await ada.call("POST", "/v1/posts", {"body": "#tea second"}, headers={"X-Request-Id": "second-cup"})
    monkeypatch.undo()
    made(answer)
    # What runs beside it (housekeeping, the follower's looks at the head) writes no post and begins no transaction.
    own = [query for query in asked if "feed.post" in query or "set_config" in query or query.startswith("BEGIN")]
    assert len(own) == 1
    assert "eventlog.append" in own[0]
    rows = await community.owner.fetch("SELECT request_id FROM eventlog.event ORDER BY id DESC LIMIT 2")
    assert [row["request_id"] for row in rows] == ["second-cup", "second-cup"]
