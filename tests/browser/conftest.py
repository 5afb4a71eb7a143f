"""An empty page whose modules are the folder's own: what they promise is tried without a server."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from services.feed.api.pages import WEB
from tests.browser.modules import ORIGIN


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page whose modules are the folder's."""
    page = chromium.new_page()

    def serve(route: Any) -> None:
        path = WEB / route.request.url.removeprefix(ORIGIN + "/")
        if path.is_file():
            route.fulfill(body=path.read_bytes(), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><title>empty</title>", content_type="text/html")

    page.route(ORIGIN + "/**", serve)
    page.goto(ORIGIN)
    yield page
    page.close()
