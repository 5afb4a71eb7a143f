"""live.js against a gateway that is the test's: each way a socket can end, and what it then asks for."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute

from tests.browser.modules import ORIGIN, run

SOCKET = "ws://page.test/v1/live"
Json = dict[str, Any]


class Gateway:
    """The other side of the sockets: what was sent, by connection."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sockets: list[WebSocketRoute] = []
        self.sent: list[list[Json]] = []
        page.route_web_socket(SOCKET, self._accept)

    def _accept(self, socket: WebSocketRoute) -> None:
        frames: list[Json] = []
        self.sockets.append(socket)
        self.sent.append(frames)
        socket.on_message(lambda data: self._take(socket, frames, json.loads(data)))

    def _take(self, socket: WebSocketRoute, frames: list[Json], frame: Json) -> None:
        frames.append(frame)
        asked: list[Json] = frame.get("subscribe") or frame.get("channels") or []
        if frame["type"] == "hello":
            socket.send(json.dumps({"type": "welcome", "epoch": 7, "logs": 1, "ping_interval": 25}))
        if frame["type"] in ("hello", "subscribe"):
            for one in asked:
                socket.send(json.dumps(self.subscribed(frame["id"], one)))

    def subscribed(self, request_id: int, one: Json) -> Json:
        """The answer to one channel of a request."""
        as_of = one.get("since", {"epoch": 7, "seq": [50]})
        return {"type": "subscribed", "id": request_id, "channel": one["channel"], "as_of": as_of}

    def tell(self, **frame: Any) -> None:
        """A frame on the newest connection."""
        self.sockets[-1].send(json.dumps(frame))

    def event(self, prev: int, seq: int, channel: str = "post:1") -> None:
        """An event on the newest connection."""
        self.tell(type="event", channel=channel, log=0, prev=prev, seq=seq, event={"type": "x", "n": seq})

    def until(self, script: str) -> None:
        """Wait for a condition in the page."""
        self.page.wait_for_function(script, timeout=15_000)


@pytest.fixture
def gateway(page: Page) -> Gateway:
    """A gateway, and a client that follows post:1 from 50; `calls` counts tickets, `got` are events."""
    gateway = Gateway(page)
    page.evaluate(f"""async () => {{
      const {{ Live }} = await import("{ORIGIN}/live.js");
      Object.assign(window, {{ got: [], states: [], calls: 0, resets: [], ready: 0 }});
      window.live = new Live({{
        url: "{SOCKET}", random: () => 0.02,
        ticket: async () => `ticket ${{++window.calls}}`,
        onstate: (now) => window.states.push(now.state),
      }});
      live.subscribe("post:1", {{ epoch: 7, seq: [50] }}, {{
        event: (event) => got.push(event.n), ready: () => (window.ready += 1), reset: (reason) => resets.push(reason),
      }});
    }}""")
    gateway.until("ready === 1")
    return gateway


def test_a_gap_is_asked_for_from_the_position_held(gateway: Gateway) -> None:
    gateway.event(50, 52)
    gateway.event(60, 61)
    gateway.until("ready === 2")
    assert gateway.sent[-1][-1]["channels"] == [{"channel": "post:1", "since": {"epoch": 7, "seq": [52]}}]
    assert run(gateway.page, "got") == [52]


def test_a_type_that_it_does_not_know_is_ignored(gateway: Gateway) -> None:
    gateway.tell(type="later", channel="post:1", log=0, prev=50, seq=60)
    gateway.event(50, 55)
    gateway.until("got.length === 1")
    assert run(gateway.page, "got") == [55]


@pytest.mark.parametrize("code", [4000, 4001, 4006, None])
def test_below_4500_it_comes_back_from_its_position_with_a_fresh_ticket(gateway: Gateway, code: int | None) -> None:
    gateway.event(50, 55)
    gateway.until("got.length === 1")
    gateway.sockets[-1].close(code=code)
    gateway.until("ready === 2")
    hello = gateway.sent[-1][0]
    assert hello["subscribe"] == [{"channel": "post:1", "since": {"epoch": 7, "seq": [55]}}]
    assert hello["token"] == "ticket 2"
    assert "waiting" in run(gateway.page, "states")


@pytest.mark.parametrize("code", [4500, 4501, 4503, 4505])
def test_from_4500_on_it_stays_away_until_it_is_told_to_come_back(gateway: Gateway, code: int) -> None:
    gateway.sockets[-1].close(code=code)
    gateway.until("live.state.state === 'stopped'")
    gateway.page.evaluate("live.reconnect()")
    gateway.until("ready === 2")
    assert len(gateway.sockets) == 2


def test_a_reset_ends_the_subscription_and_tells_why(gateway: Gateway) -> None:
    gateway.tell(type="reset", channel="post:1", reason="too_old")
    gateway.until("resets.length === 1")
    gateway.event(50, 51)
    gateway.sockets[-1].close(code=4000)
    gateway.until("states.filter((state) => state === 'live').length === 2")
    assert gateway.sent[-1][0]["subscribe"] == []
    assert run(gateway.page, "[got, resets]") == [[], ["too_old"]]


def test_expiring_credentials_are_renewed_and_a_drain_is_left_in_its_slot(gateway: Gateway) -> None:
    gateway.tell(type="expiring", **{"in": 60})
    gateway.until("calls === 2")
    # wait_for_function turns the loop, so the frame that followed the ticket has come.
    gateway.tell(type="drain", **{"in": 0.2})
    gateway.until("ready === 2")
    assert gateway.sent[0][-1] == {"type": "renew", "id": gateway.sent[0][-1]["id"], "token": "ticket 2"}
    assert "waiting" not in run(gateway.page, "states")


def test_jitter_is_full_and_doubles_to_thirty_seconds(page: Page) -> None:
    script = f"""async () => {{
      const {{ backoff }} = await import("{ORIGIN}/live.js");
      return [0, 1, 2, 3, 4, 5, 6, 20].map((failures) => [backoff(failures, () => 0), backoff(failures, () => 1)]);
    }}"""
    longest = [1, 2, 4, 8, 16, 30, 30, 30]
    assert run(page, script) == [[0, seconds * 1000] for seconds in longest]
