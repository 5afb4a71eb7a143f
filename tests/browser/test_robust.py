"""A page through sleep, dead services and floods: whatever happened, in the end it equals a fresh read."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.browser.readers import CUT, Reader, reader, wait_back
from tests.stack import Stack

TOPIC = "/topics/lamplight"

HELD = """(slug) => {
  const { posts, feeds, topics } = chorus.state.value;
  const { ids, waiting } = feeds[`${slug}||`];
  const told = ({ id, body, version, counts, mine }) => ({ id, body, version, counts, mine: mine?.reaction ?? null });
  const newest = [...waiting, ...ids].sort((a, b) => b.length - a.length || (a < b ? 1 : -1));
  return { items: newest.map((id) => told(posts[id])), posts: topics[slug].posts };
}"""


def check_equals_a_fresh_read(person: Reader, page: Page, slug: str = "lamplight") -> None:
    """What the page holds of a topic is what the server says now, once it has come."""
    fresh: list[Any] = []
    before = None
    while True:
        query = f"?limit=100{f'&before={before}' if before else ''}"
        part = person.call("GET", f"/v1/topics/{slug}/posts{query}")
        fresh += part["items"]
        before = part["next"]
        if before is None:
            break
    keys = ("id", "body", "version", "counts")
    items = [{**{key: post[key] for key in keys}, "mine": (post["mine"] or {}).get("reaction")} for post in fresh]
    expected = json.dumps({"items": items, "posts": person.call("GET", f"/v1/topics/{slug}")["posts"]}, sort_keys=True)
    page.wait_for_function(
        f"""(expected) => {{
          const sorted = (value) => JSON.stringify(value, (_, each) => each && typeof each === "object" &&
            !Array.isArray(each) ? Object.fromEntries(Object.entries(each).sort()) : each);
          return sorted(({HELD})("lamplight")) === sorted(JSON.parse(expected));
        }}""",
        arg=expected,
        timeout=30_000,
        polling=100,
    )


def cdp(page: Page) -> CDPSession:
    return page.context.new_cdp_session(page)


def test_a_page_that_slept_through_everything_equals_a_fresh_read(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        ada.allowed += [CUT, re.compile("40[13]")]
        posts = [bo.post(f"Before the night, {number}.", "lamplight") for number in range(3)]
        page = ada.open(TOPIC)
        # As by a lid that closes: no task of the page runs, and its clock has jumped when it wakes up.
        tools = cdp(page)
        tools.send("Page.setWebLifecycleState", {"state": "frozen"})
        bo.call("DELETE", f"/v1/posts/{posts[0]['id']}")
        bo.call("PATCH", f"/v1/posts/{posts[1]['id']}", {"version": 1, "body": "Changed at night."})
        services.notify.kill()
        services.feed.kill()
        services.feed.start()
        bo.call("PUT", f"/v1/posts/{posts[2]['id']}/reaction", {"kind": "hug"})
        for number in range(3):
            bo.post(f"In the night, {number}.", "lamplight")
        services.notify.start()
        tools.send("Page.setWebLifecycleState", {"state": "active"})
        wait_back(page)
        check_equals_a_fresh_read(ada, page)
        expect(ada.card("Changed at night.")).to_be_visible()
        page.get_by_role("button", name="3 new posts").click()
        bo.post("In the morning.", "lamplight")
        expect(page.get_by_role("button", name="1 new post")).to_be_visible()


@pytest.mark.parametrize("services", [{"CHORUS_WRITES_PER_MINUTE": "10000"}], indirect=True)
def test_a_flood_while_nobody_looked_is_one_pill_and_one_page(services: Stack, chromium: Browser) -> None:
    many = 200
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        bo.post("Before the flood.", "lamplight")
        page = ada.open(TOPIC)
        other = ada.new_page()  # the first tab is behind it now
        other.goto(services.url + "/")
        other.bring_to_front()
        cookies = {each["name"]: each["value"] for each in bo.context.cookies()}
        with httpx.Client(base_url=services.url, cookies=cookies, headers={"Origin": services.url}) as http:

            def send(number: int) -> None:
                body = {"body": f"Drop {number}.", "topics": ["lamplight"]}
                assert http.post("/v1/posts", json=body, timeout=30).status_code == 201

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(send, range(many)))
        page.bring_to_front()
        pill = page.get_by_role("button", name=f"{many} new posts")
        expect(pill).to_be_visible()
        check_equals_a_fresh_read(ada, page)
        pill.click()
        expect(page.locator(".post").first).to_contain_text("Drop")
        assert page.locator(".post").count() <= 60
        expect(page.get_by_role("button", name="Show older posts")).to_be_visible()
        bo.post("After the flood.", "lamplight")
        expect(page.get_by_role("button", name="1 new post")).to_be_visible()


def test_a_network_that_goes_and_comes_and_a_ticket_that_ended_lose_nothing(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        ada.allowed += [CUT, re.compile("401")]
        bo.post("Before the tunnel.", "lamplight")
        page = ada.open(TOPIC)
        ended = threading.Event()

        def old_ticket(route: Any) -> None:
            if ended.is_set():
                route.continue_()
            else:
                ended.set()
                route.fulfill(status=201, json={"ticket": "eyJhbGciOiJIUzI1NiJ9.e30.ended", "expires_in": 60})

        page.route("**/v1/live/ticket", old_ticket)
        services.notify.kill()
        ada.context.set_offline(True)
        expect(page.locator(".live")).not_to_have_attribute("data-state", "live")
        bo.post("In the tunnel.", "lamplight")
        services.notify.start()
        ada.context.set_offline(False)
        expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=30_000)
        assert ended.is_set()
        check_equals_a_fresh_read(ada, page)
