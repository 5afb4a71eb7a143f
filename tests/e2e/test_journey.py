"""One post reaches every open page: HTTP in, frames out, through real processes."""

import asyncio
import contextlib
from functools import partial

from tests.e2e.people import Member
from tests.live_client import LiveClient, Subscription
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
            await client.until(partial(_saw_a_post, subscription))
            created = [event["post"] for event in subscription.events if event["type"] == "post.created"]
            posted_without_mine = {name: value for name, value in posted.items() if name not in ("mine", "as_of")}
            assert created == [posted_without_mine]
            assert not subscription.gaps


def _saw_a_post(subscription: Subscription) -> bool:
    return any(event["type"] == "post.created" for event in subscription.events)


async def test_what_happened_while_away_arrives_once_and_in_order(services: Stack) -> None:
    async with await Member.sign_up(services.url, "teo") as teo:
        await teo.post("Opening. #Harbour")
        page = await teo.get("/v1/topics/harbour/posts")
        async with LiveClient(services.notify.live_url) as client:
            subscription = await client.subscribe("topic:harbour", page["as_of"])
            first = await teo.post("Before the cut. #harbour")
            await client.until(lambda: any(e.get("post", {}).get("id") == first["id"] for e in subscription.events))
            await client.close()

            missed = [await teo.post(f"While you were away, number {n}. #harbour") for n in range(5)]
            await client.connect()
            wanted = [first["id"], *(post["id"] for post in missed)]

            def created() -> list[str]:
                return [event["post"]["id"] for event in subscription.events if event["type"] == "post.created"]

            await client.until(lambda: len(created()) >= len(wanted))
            assert created() == wanted


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
            await client.until(lambda: any(e.get("post", {}).get("id") == posted["id"] for e in subscription.events))
            assert not subscription.resets
