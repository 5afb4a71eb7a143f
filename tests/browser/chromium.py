"""The system's Chromium, as these tests start it: no sandbox (containers), no network of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str:
    """The path of the system's browser. Raises FileNotFoundError, naming what to install."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError(f"no browser: none of {', '.join(NAMES)} on PATH; install Debian's chromium")


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """A browser for the length of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
