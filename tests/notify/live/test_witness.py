"""What a process remembers of sockets for operators: of members alone, and no more than it has room for."""

import pytest

from services.notify.live import testimony
from services.notify.live.hub import Hub
from services.notify.live.ring import Ring
from services.notify.live.session import LEFT, Session, Subscription
from services.notify.live.witness import CLOSED, Witness
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, eventually, token
from tests.notify.live.judge import Client


async def ask(house: House, account: int) -> testimony.Testimony:
    place = testimony.Place(log=0, epoch=house.hub.epoch, seq=1, channels=["topic:a"])
    return await house.app.gateway.witness.answer(
        testimony.Question(id="q", installation="here", account=account, places=[place])
    )


async def leave(house: House, account: int | None, session: int, times: int) -> None:
    for _ in range(times):
        async with LiveClient(house.url, token(account, session) if account else None) as client:
            await client.subscribe("topic:a")
    await eventually(lambda: not house.app.gateway.sessions())


async def test_the_newest_closed_sockets_of_members_are_remembered_and_no_guest(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    gateway = house.app.gateway
    await leave(house, None, 0, 2)
    assert gateway.witness._gone == type(gateway.witness._gone)()
    await leave(house, account, session, CLOSED + 1)
    seen = (await ask(house, account)).seen
    assert len(seen) == CLOSED
    assert seen == sorted(seen, key=lambda each: each.opened_at, reverse=True)
    assert {each.code for each in seen} == {None}
    assert [each.followed[0].channels for each in seen] == [["topic:a"]] * CLOSED


async def test_what_is_remembered_has_a_bound_and_tells_from_when_on(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    gateway = house.app.gateway
    witness = gateway.witness = Witness(gateway._sockets, kept=1_500)
    began = (await ask(house, account)).since
    await leave(house, account, session, 8)
    told = await ask(house, account)
    assert 0 < len(witness._gone) < 8
    assert witness._room >= 0
    assert began < told.since <= witness._gone[0].at


@pytest.mark.parametrize("replaced", [False, True])
def test_a_session_remembers_the_last_few_subscriptions_that_ended(replaced: bool) -> None:
    hub = Hub(1, [Ring(0, 100, 5)])
    session = Session(Client([]), 0.0)
    hub.enter(session)
    for number in range(LEFT + 3):
        subscription = Subscription(f"topic:{0 if replaced else number}", None, None)
        subscription.position = hub.position()
        session.subscriptions[subscription.name] = subscription
        hub.join(session, subscription)
        hub.drop(session, subscription)
    assert len(session.left) == LEFT
    assert session.left[-1].until == [5]
    hub.exit(session)
    assert len(session.left) == LEFT


def test_what_a_replay_wrote_is_remembered_though_no_round_has_come_to_it() -> None:
    hub = Hub(1, [Ring(0, 100, 5)])
    session = Session(Client([]), 0.0)
    hub.enter(session)
    subscription = session.subscriptions["topic:a"] = Subscription("topic:a", None, (5,))
    subscription.position = [7]
    hub.join(session, subscription)
    hub.drop(session, subscription)
    assert session.left[-1].until == [7]
