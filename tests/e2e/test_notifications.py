"""From somebody's words to somebody else's inbox, round the whole log, through real processes."""

import contextlib
from functools import partial

import httpx

from tests.e2e.people import Json, Member
from tests.live_client import LiveClient, Subscription
from tests.stack import Stack


async def _inbox(services: Stack, member: Member) -> Json:
    async with httpx.AsyncClient(base_url=services.notify.url, timeout=20) as http:
        answer = await http.get("/v1/notifications", headers={"Authorization": f"Bearer {member.token}"})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def _kinds(subscription: Subscription) -> list[str]:
    changed = [event for event in subscription.events if event["type"] == "notification.changed"]
    return [event["notification"]["kind"] for event in changed]


def _told(subscription: Subscription, lines: int) -> bool:
    return len(_kinds(subscription)) >= lines


def _ends_with(subscription: Subscription, kind: str) -> bool:
    return bool(subscription.events) and subscription.events[-1]["type"] == kind


async def test_answers_mentions_and_reactions_reach_both_tabs_once_with_one_unread_count(services: Stack) -> None:
    async with contextlib.AsyncExitStack() as stack:
        ida = await stack.enter_async_context(await Member.sign_up(services.url, "ida"))
        sam = await stack.enter_async_context(await Member.sign_up(services.url, "sam"))
        post = await ida.post("Does anybody have a spare ladder? #Borrowing")
        page = await _inbox(services, ida)
        assert (page["items"], page["unread"]) == ([], 0)
        tabs = [await stack.enter_async_context(LiveClient(services.notify.live_url, ida.token)) for _ in range(2)]
        inboxes = [await tab.subscribe(f"inbox:{ida.id}", page["as_of"]) for tab in tabs]

        answer = await sam.comment(post, "In the shed, help yourself.")
        thanks = await ida.comment(post, "Thank you.", answer)
        await sam.comment(post, "Any time.", thanks)
        await sam.post(f"Found the ladder, @{ida.account['handle']}. #Borrowing")
        await sam.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "joy"})
        await sam.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "hug"})

        for tab, inbox in zip(tabs, inboxes, strict=True):
            await tab.until(partial(_told, inbox, 4))
            assert sorted(_kinds(inbox)) == ["comment", "mention", "reaction", "reply"]
        after = await _inbox(services, ida)
        assert after["unread"] == 4 == inboxes[0].events[-1]["unread"]
        assert sorted(item["kind"] for item in after["items"]) == ["comment", "mention", "reaction", "reply"]
        assert all(item["actor"]["id"] == sam.id for item in after["items"])

        async with httpx.AsyncClient(base_url=services.notify.url, timeout=20) as http:
            read = await http.post(
                "/v1/notifications/read",
                json={"up_to": after["items"][0]["id"]},
                headers={"Authorization": f"Bearer {ida.token}"},
            )
        assert read.status_code == 200, read.text
        for tab, inbox in zip(tabs, inboxes, strict=True):
            await tab.until(partial(_ends_with, inbox, "inbox.read"))
            assert inbox.events[-1]["unread"] == 0
        assert (await _inbox(services, sam))["unread"] == 1, "only the answer to his comment"


async def test_a_mention_that_an_edit_takes_out_leaves_the_inbox_again(services: Stack) -> None:
    async with (
        await Member.sign_up(services.url, "ida") as ida,
        await Member.sign_up(services.url, "sam") as sam,
        LiveClient(services.notify.live_url, ida.token) as tab,
    ):
        inbox = await tab.subscribe(f"inbox:{ida.id}", (await _inbox(services, ida))["as_of"])
        post = await sam.post(f"The ladder is @{ida.account['handle']}'s.")
        await tab.until(partial(_told, inbox, 1))
        await sam.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "The ladder is somebody's."})
        await tab.until(partial(_ends_with, inbox, "notification.removed"))
        [line] = [event["notification"]["id"] for event in inbox.events if event["type"] == "notification.changed"]
        assert (inbox.events[-1]["ids"], inbox.events[-1]["unread"]) == ([line], 0)
        page = await _inbox(services, ida)
        assert (page["items"], page["unread"]) == ([], 0)


async def test_an_inbox_is_nobody_elses(services: Stack) -> None:
    async with (
        await Member.sign_up(services.url, "owner") as owner,
        await Member.sign_up(services.url, "nosy") as nosy,
        LiveClient(services.notify.live_url, nosy.token) as client,
    ):
        subscription = await client.subscribe(f"inbox:{owner.id}")
        assert subscription.resets == ["forbidden"]
