"""Where tests find the page's modules in the browser, and how they call them."""

from typing import Any

from playwright.sync_api import Page

ORIGIN = "http://page.test"


def run(page: Page, script: str, given: Any = None) -> Any:
    """What the script gives in the page."""
    return page.evaluate(script, given)
