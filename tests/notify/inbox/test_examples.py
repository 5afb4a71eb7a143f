"""The examples of the inbox's document are what it answers, word for word where words are ours."""

from typing import Any

import msgspec

from services.notify.inbox.document import ANSWERS, PROBLEMS
from services.notify.inbox.notifier import Notifier
from shared.postgres import Pool
from shared.web import problem_of
from tests.notify.inbox.community import Community
from tests.notify.inbox.door import open_door, sign_in
from tests.notify.inbox.driving import catch_up


def kinds(value: Any) -> Any:
    """Names and kinds of values, all the way down."""
    if isinstance(value, dict):
        return {name: kinds(each) for name, each in value.items()}
    return [kinds(each) for each in value] if isinstance(value, list) else type(value).__name__


async def test_answers_have_the_shape_of_their_examples(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann, bob = await community.members(["ann", "bob"])
    await community.comment(bob, await community.post(ann))
    await catch_up(notifier, community, pool)
    async with open_door(pool) as client:
        auth = await sign_in(community, ann)
        page = (await client.get("/v1/notifications", headers=auth)).json()
        read = await client.post("/v1/notifications/read", headers=auth, json={"up_to": page["items"][0]["id"]})
    documented = msgspec.to_builtins(ANSWERS)
    assert kinds(page) == kinds(documented["listNotifications"])
    assert kinds(read.json()) == kinds(documented["readNotifications"])


async def test_problems_are_answered_as_their_examples_say(community: Community, pool: Pool) -> None:
    ann = await community.member("ann")
    async with open_door(pool) as client:
        auth = await sign_in(community, ann)
        json = {**auth, "Content-Type": "application/json"}
        refused = [
            await client.get("/v1/notifications"),
            await client.post("/v1/notifications/read", headers=json, content=b'{"up_to"'),
            await client.post("/v1/notifications/read", headers=json, content=b" " * 5000),
            await client.post("/v1/notifications/read", headers=auth, data={"up_to": "1"}),
            await client.post("/v1/notifications/read", headers=auth, json={"up_to": "x"}),
            await client.post("/v1/notifications/read", headers=auth, json={"up_to": "12"}),
        ]
        holder = await pool.acquire()
        try:
            async with holder.transaction():
                await holder.execute("lock table notify.inbox in access exclusive mode")
                refused.append(await client.post("/v1/notifications/read", headers=auth, json={"up_to": "12"}))
        finally:
            await pool.release(holder)
    answered = {answer.json()["code"]: {**answer.json(), "request_id": ""} for answer in refused}
    assert answered == {error.code: msgspec.to_builtins(problem_of(error, "")) for error in PROBLEMS}
