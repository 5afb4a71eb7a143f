"""stream.js against a gateway that is the test's: what a page does when a channel that it follows is reset."""

import pytest
from playwright.sync_api import Page

from tests.browser.modules import ORIGIN, run
from tests.browser.test_live_js import SOCKET, Gateway


@pytest.fixture
def gateway(page: Page) -> Gateway:
    """A gateway, and a page that follows its inbox and a topic; `reads` counts what it fetched of each."""
    gateway = Gateway(page)
    page.evaluate(f"""async () => {{
      Math.random = () => 0; // pages that were reset read again at once
      const stream = await import("{ORIGIN}/app/stream.js");
      window.reads = {{}};
      const read = (channel) => async () => {{
        reads[channel] = (reads[channel] ?? 0) + 1;
        return {{ epoch: 7, seq: [50] }};
      }};
      stream.open("{SOCKET}", {{ onstop() {{}} }});
      window.ready = 0;
      const ready = () => (window.ready += 1);
      for (const channel of ["inbox:1", "topic:tea"]) await stream.follow(channel, read(channel), {{ ready }});
    }}""")
    gateway.until("ready === 2")
    return gateway


def asked(gateway: Gateway) -> list[str]:
    """The channels that were asked for, in that order."""
    return [
        one["channel"]
        for frames in gateway.sent
        for frame in frames
        for one in frame.get("subscribe") or frame.get("channels") or []
    ]


def test_what_may_not_be_read_is_not_asked_for_again_and_what_is_lost_is(gateway: Gateway) -> None:
    gateway.tell(type="reset", channel="inbox:1", reason="forbidden")
    gateway.tell(type="reset", channel="topic:tea", reason="too_old")
    gateway.until("ready >= 3")
    assert run(gateway.page, "reads") == {"inbox:1": 1, "topic:tea": 2}
    assert asked(gateway) == ["inbox:1", "topic:tea", "topic:tea"]
