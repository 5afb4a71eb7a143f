"""A hot row does not eat the pool: who queues there holds no connection that others need."""

import asyncio

import pytest

from services.feed import turns
from services.feed.turns import AT_ONCE, Turns
from shared.errors import Busy
from tests.feed.conftest import Serve


async def test_while_many_want_one_row_others_write_and_read(serve: Serve) -> None:
    community = await serve(feed_pool=2 * AT_ONCE)
    ada, bo = await community.member(), await community.member()
    hot, other = await ada.post("Everybody's."), await ada.post("Somebody's.")
    async with community.owner.transaction():
        await community.owner.execute("select from feed.post where id = $1 for update", int(hot["id"]))
        crowd = [
            asyncio.create_task(ada.call("PUT", f"/v1/posts/{hot['id']}/reaction", {"kind": kind}))
            for kind in ("heart", "hug", "joy") * 8
        ]
        async with asyncio.timeout(20):
            while await waiting(community.owner) < AT_ONCE:  # noqa: ASYNC110 - Postgres tells nobody
                await asyncio.sleep(0.01)
        for _ in range(20):  # before any of them gives up
            assert await waiting(community.owner) <= AT_ONCE
            await asyncio.sleep(0.01)
        for _ in range(3):
            written = await bo.call("PUT", f"/v1/posts/{other['id']}/reaction", {"kind": "heart"})
            assert written.status_code == 200
            assert (await bo.get("/v1/me")).status_code == 200
            assert await waiting(community.owner) <= AT_ONCE
    answers = [response.status_code for response in await asyncio.gather(*crowd)]
    assert set(answers) <= {200, 503}  # those who waited for two seconds gave up


async def waiting(owner: object) -> int:
    """Sessions of the feed that wait for a row's lock."""
    await owner.execute("select pg_stat_clear_snapshot()")  # type: ignore[attr-defined]
    found: int = await owner.fetchval(  # type: ignore[attr-defined]
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    )
    return found


async def test_who_waits_too_long_is_told_to_come_back_and_places_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "ACQUIRE_TIMEOUT", 0.05)
    here = Turns()
    leave = asyncio.Event()

    async def stay() -> None:
        async with here.at(1):
            await leave.wait()

    there = [asyncio.create_task(stay()) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    async with here.at(2):
        pass
    with pytest.raises(Busy):
        async with here.at(1):
            raise AssertionError("there is room for one more")
    leave.set()
    await asyncio.gather(*there)
    assert not here._places
