"""The example of `live.js` for other pages, as it stands in the README beside it, on a page of another origin."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from services.bench.stack import free_port
from tests.browser.readers import reader
from tests.stack import Stack

README = Path(__file__).parents[2] / "services/feed/web/README.md"
PORT = free_port()
ELSEWHERE = f"http://127.0.0.1:{PORT}"
"""A server of its own: a page that the test merely made up would be kept away from loopback by the browser."""


def example() -> str:
    """The page, as a reader would copy it."""
    found = re.search(r"```html\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_is_twenty_lines() -> None:
    script = example().partition('<script type="module">\n')[2].partition("</script>")[0]
    assert len(script.splitlines()) <= 20


@contextmanager
def serving(html: str) -> Iterator[None]:
    """ELSEWHERE answers everything with this page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", PORT), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("services", [{"CHORUS_ALLOWED_ORIGINS": ELSEWHERE}], indirect=True)
def test_a_page_of_another_origin_shows_a_topic_live(services: Stack, chromium: Browser) -> None:
    html = example().replace("http://127.0.0.1:8000", services.url).replace('"sleep"', '"lamplight"')
    with reader(chromium, services.url, "Ada") as ada, serving(html):
        ada.post("The first lamp. #Lamplight", "lamplight")
        other = ada.context.new_page()
        faults: list[str] = []
        other.on("pageerror", lambda error: faults.append(str(error)))
        other.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        other.goto(ELSEWHERE)
        expect(other).to_have_title("lamplight: live")
        expect(other.locator("li")).to_have_text(["The first lamp. #Lamplight"])
        ada.post("A second lamp. #Lamplight", "lamplight")
        expect(other.locator("li")).to_have_text(["A second lamp. #Lamplight", "The first lamp. #Lamplight"])
        assert [fault for fault in faults if "favicon" not in fault] == []
