"""Readers for browser tests: a browser context each, signed up by HTTP, whose console and policy must stay clean."""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

PASSWORD = "seven quiet lanterns"
PATIENCE = 15_000
"""Milliseconds to wait for what a test expects; the suite runs beside others on two cores."""
expect.set_options(timeout=PATIENCE)
_numbers = itertools.count(1)

# What can't be reached is the browser's own line, and cutting it off is what some tests are about.
CUT = re.compile(r"WebSocket connection to .* failed|Failed to load resource: net::ERR_")

Json = dict[str, Any]


class Reader:
    """One person at one page. `name` is what others see; a guest has none."""

    def __init__(self, context: BrowserContext, url: str, name: str | None) -> None:
        self.context, self.url, self.name = context, url, name
        self.faults: list[str] = []
        self.allowed: list[re.Pattern[str]] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        """Another tab of the same person."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def open(self, path: str) -> Page:
        """Go there and wait until the page is live and shows what it has loaded."""
        self.page.goto(self.url + path)
        wait_live(self.page)
        expect(self.page.locator(".skeletons")).to_have_count(0)
        return self.page

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """An API call in this person's name; it must succeed. {} where there is no body."""
        answer = self.context.request.fetch(
            self.url + path, method=method, data=body, headers={"Origin": self.url}, timeout=PATIENCE
        )
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
        found: Json = answer.json() if answer.body() else {}
        return found

    def post(self, body: str, topic: str, **more: Any) -> Json:
        """A post of theirs."""
        return self.call("POST", "/v1/posts", {"body": body, "topics": [topic], **more})

    def card(self, words: str) -> Locator:
        """The post that contains these words."""
        return self.page.locator(".post").filter(has_text=words)

    def check_clean(self) -> None:
        """No console error, no uncaught exception, no policy violation, beyond what the test allowed."""
        left = [fault for fault in self.faults if not any(each.search(fault) for each in self.allowed)]
        assert not left, left


def wait_live(page: Page) -> None:
    """The badge says Live."""
    expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=PATIENCE)


def wait_back(page: Page) -> None:
    """The page is live again after a cut. The browser says that the network is there, which ends a long wait early."""
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_live(page)


@contextmanager
def reader(
    browser: Browser,
    url: str,
    name: str | None = None,
    *,
    width: int = 1180,
    prepare: Callable[[BrowserContext], object] = lambda context: None,
    **options: Any,
) -> Iterator[Reader]:
    """A person with a fresh browser; with a name, signed up and in. Checks that nothing went wrong in silence."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    prepare(context)
    try:
        person = Reader(context, url, name)
        if name is not None:
            handle = f"{name.lower() if name.isascii() else 'reader'}{next(_numbers)}"
            account = {"handle": handle, "display_name": name, "password": PASSWORD}
            person.call("POST", "/v1/accounts", account)
            person.call("POST", "/v1/sessions", {"handle": handle, "password": PASSWORD, "cookie": True})
            context.add_init_script("localStorage.setItem('chorus.signed-in', '1')")
        yield person
        person.check_clean()
    finally:
        context.close()
