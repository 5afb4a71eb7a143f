"""One post reaches every open page: HTTP in, frames out, through real processes."""

import asyncio
import contextlib
from functools import partial

from tests.e2e.people import Member
from tests.live_client import Json, LiveClient, Subscription
from tests.stack import Stack


async def test_a_post_arrives_at_three_clients_on_two_notify_processes(services: Stack) -> None:
    second = await asyncio.to_thread(services.more_notify)
    async with contextlib.AsyncExitStack() as stack:
        mina = await stack.enter_async_context(await Member.sign_up(services.url, "mina"))
        await mina.post("The first one makes the topic. #Allotment")
        page = await mina.get("/v1/topics/allotment/posts")
        urls = [services.notify.live_url, services.notify.live_url, second.live_url]
        clients = [await stack.enter_async_context(LiveClient(url)) for url in urls]
        for client in clients:
            await client.subscribe("topic:allotment", page["as_of"])

        posted = await mina.post("Beans are up. #allotment")

        for client in clients:
            subscription = client.subscriptions["topic:allotment"]
            await client.until(partial(_saw, subscription, posted["id"]))
            created = _created(subscription, page)
            posted_without_mine = {name: value for name, value in posted.items() if name not in ("mine", "as_of")}
            assert created == [posted_without_mine]
            assert not subscription.gaps


def _created(subscription: Subscription, page: Json) -> list[Json]:
    """The posts that came after `page`, in their order.

    A post that the page shows may come once more: it was committed, and had no position yet, when the page was read.
    """
    shown = {post["id"] for post in page["items"]}
    came = [event["post"] for event in subscription.events if event["type"] == "post.created"]
    return [post for post in came if post["id"] not in shown]


def _saw(subscription: Subscription, post_id: str) -> bool:
    return any(e["type"] == "post.created" and e["post"]["id"] == post_id for e in subscription.events)


async def test_what_happened_while_away_arrives_once_and_in_order(services: Stack) -> None:
    async with await Member.sign_up(services.url, "teo") as teo:
        await teo.post("Opening. #Harbour")
        page = await teo.get("/v1/topics/harbour/posts")
        async with LiveClient(services.notify.live_url) as client:
            subscription = await client.subscribe("topic:harbour", page["as_of"])
            first = await teo.post("Before the cut. #harbour")
            await client.until(partial(_saw, subscription, first["id"]))
            await client.close()

            missed = [await teo.post(f"While you were away, number {n}. #harbour") for n in range(5)]
            await client.connect()
            wanted = [first["id"], *(post["id"] for post in missed)]
            await client.until(partial(_saw, subscription, wanted[-1]))
            assert [post["id"] for post in _created(subscription, page)] == wanted


async def test_a_killed_notify_loses_nothing(services: Stack) -> None:
    async with await Member.sign_up(services.url, "ana") as ana:
        await ana.post("Opening. #Knitting")
        page = await ana.get("/v1/topics/knitting/posts")
        async with LiveClient(services.notify.live_url) as client:
            subscription = await client.subscribe("topic:knitting", page["as_of"])
            services.notify.kill()
            await client.closed()
            posted = await ana.post("Nobody was listening. #knitting")
            services.notify.start(wait=False)
            await asyncio.to_thread(services.notify.wait_ready)
            await client.reconnect()
            await client.until(partial(_saw, subscription, posted["id"]))
            assert not subscription.resets
