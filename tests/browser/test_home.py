"""`home`, one subscription for many channels: the rule as cases, the client at a gateway of the test, and a page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.modules import ORIGIN, run
from tests.browser.readers import CUT, reader, wait_back, wait_live
from tests.browser.test_live_js import SOCKET, Gateway
from tests.stack import Stack

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors/home.json").read_text())

RUN = f"""async (steps) => {{
  const {{ HomeProof }} = await import("{ORIGIN}/proof.js");
  const proof = new HomeProof("home");
  return steps.map(({{ send, frame }}) => {{
    if (send) proof.ask(send.id, send.since && {{ epoch: 7, seq: send.since }});
    const does = send ? null : proof.take(frame);
    const channels = Object.fromEntries(proof.channels);
    const told = {{ does, since: proof.since?.seq ?? null, channels, state: proof.state }};
    return structuredClone(does === "live" ? {{ ...told, caught: proof.caught.map(({{ seq }}) => seq) }} : told);
  }});
}}"""


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_home_proves_as_the_cases_say(page: Page, vector: dict[str, Any]) -> None:
    keys = ("does", "since", "channels", "state", "caught")
    expected = [{key: step[key] for key in keys if key in step} for step in vector["steps"]]
    assert run(page, RUN, vector["steps"]) == expected


class HomeGateway(Gateway):
    """Answers for `home` with the topics it is told to."""

    channels: tuple[str, ...] = ("topic:sleep",)

    def subscribed(self, request_id: int, one: dict[str, Any]) -> dict[str, Any]:
        told = super().subscribed(request_id, one)
        return {**told, "channels": self.channels} if one["channel"] == "home" else told


@pytest.fixture
def gateway(page: Page) -> HomeGateway:
    """A gateway, and a client that follows home, and topic:sleep by itself as well, both from 50."""
    gateway = HomeGateway(page)
    page.evaluate(f"""async () => {{
      const {{ Live }} = await import("{ORIGIN}/live.js");
      Object.assign(window, {{ home: [], sleep: [], told: [], changes: [] }});
      window.live = new Live({{ url: "{SOCKET}", random: () => 0.02 }});
      const since = {{ epoch: 7, seq: [50] }};
      live.subscribe("topic:sleep", since, {{ event: (event) => sleep.push(event.n) }});
      live.subscribe("home", since, {{
        event: (event, frame) => home.push([frame.channel, event.n]),
        ready: (asOf, channels) => told.push(channels),
        changed: ({{ added, removed }}) => changes.push([added, removed]),
      }});
    }}""")
    gateway.until("told.length === 1")
    return gateway


def test_frames_name_the_real_channel_and_reach_all_who_follow_it(gateway: HomeGateway) -> None:
    gateway.event(50, 52, "topic:sleep")
    gateway.tell(type="home.changed", added=["topic:tea"], removed=[], as_of={"epoch": 7, "seq": [55]})
    gateway.event(55, 56, "topic:tea")
    gateway.event(55, 57, "topic:walks")
    gateway.tell(type="home.changed", added=[], removed=["topic:sleep"], as_of={"epoch": 7, "seq": [58]})
    gateway.event(52, 59, "topic:sleep")
    gateway.until("sleep.length === 2")
    assert run(gateway.page, "home") == [["topic:sleep", 52], ["topic:tea", 56]]
    assert run(gateway.page, "sleep") == [52, 59]
    assert run(gateway.page, "changes") == [[["topic:tea"], []], [[], ["topic:sleep"]]]


def test_it_resumes_as_one_subscription_from_its_lowest_position(gateway: HomeGateway) -> None:
    gateway.tell(type="home.changed", added=["topic:tea"], removed=[], as_of={"epoch": 7, "seq": [55]})
    gateway.event(50, 60, "topic:sleep")
    gateway.until("sleep.length === 1")
    gateway.channels = ("topic:sleep", "topic:tea")
    gateway.sockets[-1].close(code=4000)
    gateway.until("told.length === 2")
    asked = {one["channel"]: one["since"]["seq"] for one in gateway.sent[-1][0]["subscribe"]}
    assert asked == {"topic:sleep": [60], "home": [55]}


def test_what_is_left_in_one_turn_is_left_in_one_frame(gateway: HomeGateway) -> None:
    run(
        gateway.page,
        """() => {
          const stops = Array.from({ length: 60 }, (_, n) => live.subscribe(`topic:${n}`, null, {}));
          stops.forEach((stop) => stop());
          live.subscribe("topic:7", null, { ready: () => (window.ready = true) });
        }""",
    )
    gateway.until("window.ready")
    assert [frame["type"] for frame in gateway.sent[-1]] == ["hello", "unsubscribe", "subscribe"]
    assert len(gateway.sent[-1][1]["channels"]) == 59


def test_a_members_topics_are_live_through_one_subscription_and_follow_joining(
    services: Stack, chromium: Browser
) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        ada.allowed.append(CUT)
        for slug in ("lamplight", "oilcans", "wicks"):
            bo.post(f"The first of #{slug}.", slug)
        for slug in ("lamplight", "oilcans"):
            ada.call("PUT", f"/v1/topics/{slug}/membership")
        asked: list[dict[str, Any]] = []
        ada.page.on(
            "websocket", lambda socket: socket.on("framesent", lambda data: asked.append(json.loads(str(data))))
        )
        page = ada.open("/")
        own = page.locator(".list").filter(has_text="Your topics")
        others = page.locator(".list").filter(has_text="More topics")
        expect(own.locator("b")).to_have_text(["lamplight", "oilcans"])
        bo.post("Another lamp.", "lamplight")
        expect(own.locator("li").first).to_contain_text("2 posts")

        # Joined and left in another tab, here by the API.
        ada.call("PUT", "/v1/topics/wicks/membership")
        expect(own.locator("b")).to_have_text(["lamplight", "oilcans", "wicks"])
        ada.call("DELETE", "/v1/topics/lamplight/membership")
        expect(own.locator("b")).to_have_text(["oilcans", "wicks"])
        expect(others.locator("b")).to_have_text(["lamplight"])
        bo.post("A new wick.", "wicks")
        expect(own.locator("li").last).to_contain_text("2 posts")

        services.notify.kill()
        expect(page.locator(".live")).not_to_have_attribute("data-state", "live", timeout=15_000)
        ada.call("PUT", "/v1/topics/lamplight/membership")
        bo.post("A third lamp, in the dark.", "lamplight")
        bo.post("A third wick, in the dark.", "wicks")
        services.notify.start()
        wait_back(page)
        expect(own.locator("b")).to_have_text(["lamplight", "oilcans", "wicks"])
        expect(own.locator("li")).to_contain_text([re.compile("3 posts"), re.compile("1 post"), re.compile("3 posts")])
        every = [frame.get("subscribe") or frame.get("channels") or [] for frame in asked]
        names = {one["channel"] for channels in every for one in channels if isinstance(one, dict)}
        assert {name for name in names if not name.startswith("inbox:")} == {"home", "topic:wicks"}


def test_a_list_that_comes_before_it_is_known_who_reads_is_live_all_the_same(
    services: Stack, chromium: Browser
) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        bo.post("The first of #tinder.", "tinder")
        ada.call("PUT", "/v1/topics/tinder/membership")
        asking: list[Route] = []
        ada.page.route("**/v1/me", lambda route: asking.append(route))
        ada.page.goto(services.url + "/")
        topic = ada.page.locator(".list li").filter(has_text="tinder")
        expect(topic).to_contain_text("1 post")
        (held,) = asking
        held.continue_()
        wait_live(ada.page)
        bo.post("Another bit of tinder.", "tinder")
        expect(topic).to_contain_text("2 posts")


def test_an_inbox_opens_though_it_is_known_who_reads_before_where_notify_is(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        post = ada.post("Who trims the #wick?", "wick")
        bo.call("POST", f"/v1/posts/{post['id']}/comments", {"body": "I do, on Mondays."})
        asking: list[Route] = []
        ada.page.route("**/v1/config", lambda route: asking.append(route))
        ada.page.goto(services.url + "/")
        ada.page.get_by_role("button", name="Inbox").click()
        expect(ada.page.get_by_role("status", name="Loading your inbox")).to_be_visible()
        (held,) = asking
        held.continue_()
        expect(ada.page.get_by_role("dialog")).to_contain_text("Bo commented on your post")


def test_the_list_of_topics_goes_on_when_asked(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        tags = " ".join(f"#shelf{n}of35" for n in range(35))
        ada.post(tags, "shelf0of35")
        page = ada.open("/")
        expect(page.locator(".list li")).to_have_count(30)
        page.get_by_role("button", name="Show more topics").click()
        expect(page.locator(".list li")).to_have_count(35)
        expect(page.get_by_role("button", name="Show more topics")).to_have_count(0)
