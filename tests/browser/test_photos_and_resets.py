"""Photos from choosing to full size, and what a page does when it is told to fetch again or to leave."""

import asyncio
import re
import threading
from pathlib import Path

import asyncpg
from PIL import Image
from playwright.sync_api import Browser, expect

from shared.eventlog.outbox import append
from shared.events import TopicReloaded, topic_channels
from tests.browser.readers import reader, wait_live
from tests.servers import Database
from tests.stack import Stack

TOPIC = "/topics/lamplight"


def tell_reloaded(url: str, slug: str) -> None:
    """What an import leaves in the log. In a thread: playwright holds this one's event loop."""

    async def tell() -> None:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                await append(connection, key=slug, event=TopicReloaded(slug=slug), channels=topic_channels(slug))
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(tell()))
    thread.start()
    thread.join()


def test_photos_are_described_sent_and_seen_in_full(services: Stack, chromium: Browser, tmp_path: Path) -> None:
    for name, colour in (("lamp", "orange"), ("yard", "navy")):
        Image.new("RGB", (1600, 1000), colour).save(tmp_path / f"{name}.png")
    with reader(chromium, services.url, "Ada", width=390) as ada, reader(chromium, services.url) as guest:
        ada.post("A wall without pictures.", "lamplight")
        ada.open(TOPIC)
        guest.open(TOPIC)
        ada.page.get_by_role("button", name="What's on your mind?").click()
        ada.page.get_by_label("What's on your mind?").fill("Two pictures of one evening.")
        ada.page.get_by_label("Add photos").set_input_files([tmp_path / "lamp.png", tmp_path / "yard.png"])
        ada.page.get_by_label("What does photo 1 show?").fill("A lamp, lit")
        ada.page.get_by_role("button", name="Remove photo 2").click()
        ada.page.get_by_role("button", name="Post to").click()
        expect(ada.card("Two pictures").locator("img")).to_have_attribute("alt", "A lamp, lit")

        guest.page.get_by_role("button", name="1 new post").click()
        shown = guest.card("Two pictures")
        small = shown.get_by_role("img", name="A lamp, lit")
        small.scroll_into_view_if_needed()
        expect(small).to_have_js_property("complete", True)
        assert small.evaluate("(image) => image.naturalWidth") > 0
        assert small.get_attribute("width")
        assert small.get_attribute("height")
        shown.get_by_role("button", name="See full photo").click()
        dialog = guest.page.get_by_role("dialog", name="Photo")
        expect(dialog.locator(".caption")).to_have_text("A lamp, lit")
        guest.page.keyboard.press("Escape")
        expect(shown.get_by_role("button", name="See full photo")).to_be_focused()


def test_an_import_makes_the_page_fetch_again_without_moving_the_list(
    services: Stack, chromium: Browser, database: Database
) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url) as guest:
        ada.post("Here before the import.", "lamplight")
        page = guest.open(TOPIC)
        expect(guest.card("Here before the import.")).to_be_visible()
        with page.expect_response("**/v1/topics/lamplight/posts*"):
            tell_reloaded(database.url_feed, "lamplight")
        wait_live(page)
        # Following goes on from the fresh read.
        ada.post("Here after the import.", "lamplight")
        page.get_by_role("button", name="1 new post").click()
        expect(page.locator(".post .body")).to_have_text(["Here after the import.", "Here before the import."])


def test_signing_out_in_one_tab_makes_the_other_a_guests(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        ada.allowed.append(re.compile("401"))
        ada.post("Signed, Ada.", "lamplight")
        ada.open(TOPIC)
        other = ada.new_page()
        other.goto(services.url + TOPIC)
        wait_live(other)
        ada.page.get_by_role("button", name="Your account, Ada").click()
        ada.page.get_by_role("button", name="Sign out").click()
        for page in (ada.page, other):
            expect(page.get_by_role("button", name="Sign in")).to_be_visible()
            wait_live(page)
