"""Promises about writes whose loss no other test would notice: found by mutants."""

import asyncio
from collections.abc import Iterator

import pytest

from shared import faults
from tests.feed.community import Community, made


@pytest.fixture(autouse=True)
def _faults_inert_again() -> Iterator[None]:
    yield
    faults.hold(None)


async def test_no_answer_waits_for_the_wake(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    waking, over = asyncio.Event(), asyncio.Event()

    async def stalled(_redis: object) -> None:
        waking.set()
        await over.wait()

    monkeypatch.setattr("shared.eventlog.outbox.wake", stalled)
    try:
        ada = await community.member()
        post = await ada.post("x")
        await asyncio.wait_for(waking.wait(), 10)
        await ada.comment(post, "y")
        made(await ada.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "hug"}))
        made(await ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "z"}))
    finally:
        over.set()


async def test_a_write_that_fails_after_its_key_was_kept_leaves_the_key_free(community: Community) -> None:
    ada = await community.member()
    post = await ada.post("x")
    path = f"/v1/posts/{post['id']}/comments"
    failed: list[str] = []

    def fail(name: str, _log: int | None) -> None:
        if name == "feed:committing":
            failed.append(name)
            raise faults.Injected(name)

    faults.hold(fail)
    key = {"Idempotency-Key": "key-1"}
    assert (await ada.call("POST", path, {"body": "y"}, headers=key)).status_code == 500
    assert failed
    faults.hold(None)
    assert made(await community.get(path))["items"] == []
    again = await ada.call("POST", path, {"body": "y"}, headers=key)
    assert "idempotency-replayed" not in again.headers
    assert [item["id"] for item in made(await community.get(path))["items"]] == [made(again)["id"]]
