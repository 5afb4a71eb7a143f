"""What the notifier tells names the request that caused it, each its own, also out of one batch and out of a job."""

from collections.abc import Iterator

import pytest
import structlog

from services.notify.inbox.notifier import Notifier
from shared.postgres import Pool
from shared.telemetry import bind_request
from tests.notify.inbox.community import Community
from tests.notify.inbox.driving import catch_up, write_jobs


@pytest.fixture(autouse=True)
def _no_request() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


async def named(community: Community, kind: str) -> list[str | None]:
    """The requests that events of this type name, in order."""
    rows = await community.direct.fetch("SELECT request_id FROM eventlog.event WHERE type = $1 ORDER BY id", kind)
    return [row["request_id"] for row in rows]


async def test_of_one_batch_each_inbox_is_told_by_the_request_that_concerns_it(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob, eve = await community.members(["ann", "bob", "eve"])
    first, second = await community.post(ann), await community.post(bob)
    bind_request("eve-answers-ann")
    await community.comment(eve, first)
    bind_request("eve-answers-bob")
    gone = await community.comment(eve, second)
    structlog.contextvars.clear_contextvars()
    await community.comment(bob, first)  # by nobody's request
    await catch_up(notifier, community, pool)
    assert sorted(await named(community, "notification.changed"), key=str) == [
        None,
        "eve-answers-ann",
        "eve-answers-bob",
    ]
    bind_request("eve-takes-it-back")
    await community.delete_comment(gone)
    structlog.contextvars.clear_contextvars()
    await catch_up(notifier, community, pool)
    assert await named(community, "notification.removed") == ["eve-takes-it-back"]


async def test_what_a_job_tells_later_names_the_request_of_its_cause(community: Community, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    crowd = await community.members(f"m{number}" for number in range(5))
    post = await community.post(ann)
    bind_request("bob-calls-them-all")
    await community.comment(bob, post, mentions=crowd)
    structlog.contextvars.clear_contextvars()
    await catch_up(Notifier(pool, page_above=3, page=2), community, pool)
    assert await write_jobs(pool, size=2) == 3
    assert await named(community, "inbox.touched") == ["bob-calls-them-all"] * 3
