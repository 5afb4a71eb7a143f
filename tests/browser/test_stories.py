"""Stories in two browsers: from a draft over the review to the topic's lane, and back with a note."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.readers import Reader, reader, wait_live
from tests.browser.test_access import check_axe
from tests.servers import Database
from tests.stack import Stack

WORDS = """The clock on St Anne's stopped in the week before Easter.

## Ten past four

I open at **half past** ten past four. #Lamplight

> It was always a bit out, but by the same for everyone.

- the bus driver waits
- `#not_a_tag`

<script>document.title = "broken"</script> [the tower](https://tower.example/clock)
"""


def give_role(database: Database, person: Reader, role: str) -> None:
    """By the command, as an operator would."""
    handle = person.call("GET", "/v1/me")["handle"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")}
    env["CHORUS_DATABASE_URL"] = database.url_feed
    subprocess.run(
        [sys.executable, "-m", "services.cli", "admin", "grant", handle, role], env=env, check=True, timeout=60
    )


def write(person: Reader, photo: Path) -> None:
    """A new draft with a cover, begun from the account's menu, and saved."""
    person.open("/")
    person.page.get_by_role("button", name="Your account").click()
    person.page.get_by_role("link", name="Stories").click()
    person.page.get_by_role("link", name="Write a story").click()
    person.page.get_by_label("Title").fill("Half past ten past four")
    person.page.get_by_label("Your words, in Markdown").fill(WORDS)
    person.page.locator("input[type=file]").set_input_files(photo)
    person.page.get_by_label("What does photo 1 show?").fill("A clock tower against a pale sky")
    person.page.get_by_role("button", name="Look at it").click()
    look = person.page.get_by_role("region", name="How it will look")
    expect(look.get_by_role("heading", name="Ten past four")).to_be_visible()
    person.page.get_by_role("button", name="Save the draft").click()
    expect(person.page.get_by_role("heading", name="Your draft")).to_be_visible()


def test_a_story_is_written_sent_back_handed_in_again_and_published(
    services: Stack, database: Database, chromium: Browser
) -> None:
    photo = Path(__file__).parents[2] / "services/feed/demo/media/tower.jpg"
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Mo", width=390) as mo:
        give_role(database, ada, "author")
        give_role(database, mo, "moderator")
        write(ada, photo)
        ada.page.reload()
        expect(ada.page.get_by_label("Title")).to_have_value("Half past ten past four")
        ada.page.get_by_role("button", name="Hand it in").click()
        expect(ada.page.get_by_role("button", name="Take it back")).to_be_visible()

        mo.open("/stories/review")
        mo.page.get_by_role("link", name="Half past ten past four").click()
        prose = mo.page.locator(".prose")
        expect(prose.get_by_role("heading", name="Ten past four")).to_be_visible()
        expect(mo.page.get_by_role("button", name="Take it back")).to_have_count(0)
        mo.page.get_by_role("button", name="Send it back").click()
        mo.page.get_by_label("What should Ada know?").fill("Lovely. Who is the bus driver?")
        mo.page.get_by_role("button", name="Send it back with this note").click()

        # The author's open page learns of it, and so does the inbox.
        expect(ada.page.get_by_role("heading", name="Your story came back")).to_be_visible()
        expect(ada.page.locator(".steps")).to_contain_text("Who is the bus driver?")
        expect(ada.page.get_by_role("button", name="Inbox, 1 unread")).to_be_visible()
        ada.page.get_by_label("Your words, in Markdown").fill(
            WORDS.replace("the bus driver waits", "Sam, who drives, waits")
        )
        ada.page.get_by_role("button", name="Hand it in").click()
        expect(ada.page.get_by_role("button", name="Take it back")).to_be_visible()

        mo.open("/stories/review")
        mo.page.get_by_role("link", name="Half past ten past four").click()
        mo.page.get_by_role("button", name="Publish it").click()
        mo.page.get_by_role("link", name="Read it where it stands").click()
        page = mo.page
        expect(page.get_by_role("heading", level=1, name="Half past ten past four")).to_be_visible()
        expect(page.get_by_role("heading", level=2, name="Ten past four")).to_be_visible()
        expect(page.locator(".prose strong")).to_have_text("half past")
        expect(page.locator(".prose")).to_contain_text('<script>document.title = "broken"</script>')
        expect(page).to_have_title("Half past ten past four · Chorus")
        link = page.get_by_role("link", name="the tower")
        assert (link.get_attribute("rel"), link.get_attribute("target")) == (
            "noopener noreferrer nofollow ugc",
            "_blank",
        )
        page.locator(".prose").get_by_role("link", name="#Lamplight").click()
        expect(page.locator(".facts")).to_contain_text("1 story")
        page.get_by_role("link", name="Stories").click()
        card = page.locator(".story")
        expect(card.get_by_role("heading", name="Half past ten past four")).to_be_visible()
        expect(card.locator("img.cover")).to_be_visible()

        ada.page.get_by_role("button", name="Inbox, 2 unread").click()
        expect(ada.page.get_by_role("dialog")).to_contain_text("published your story")
        ada.page.get_by_role("link", name="Mo published your story").click()
        expect(ada.page.get_by_role("heading", level=1, name="Half past ten past four")).to_be_visible()


def test_a_story_waits_behind_the_pill_and_its_edit_comes_by_itself(
    services: Stack, database: Database, chromium: Browser
) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo", width=320) as bo:
        give_role(database, ada, "moderator")
        ada.post("A lamp. #Lamplight", "lamplight")
        bo.open("/topics/lamplight")
        expect(bo.card("A lamp.")).to_be_visible()
        story = ada.post("It was *late*.", "lamplight", kind="story", title="Lamps at night")
        bo.page.get_by_role("button", name="1 new post").click()
        bo.page.get_by_role("link", name="Read the story").click()
        expect(bo.page.locator(".prose em")).to_have_text("late")
        ada.call("PATCH", f"/v1/posts/{story['id']}", {"version": 1, "body": "It was **very late**."})
        expect(bo.page.locator(".prose strong")).to_have_text("very late")
        assert bo.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ada.open(f"/posts/{story['id']}")
        ada.page.get_by_role("button", name="Edit or delete this post").click()
        ada.page.get_by_role("button", name="Edit", exact=True).click()
        ada.page.get_by_label("Your words").fill("It was early, after all.")
        ada.page.get_by_role("button", name="Save changes").click()
        expect(bo.page.locator(".prose")).to_have_text("It was early, after all.")


def test_words_that_met_a_change_elsewhere_are_shown_beside_it(
    services: Stack, database: Database, chromium: Browser
) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        give_role(database, ada, "author")
        ada.allowed.append(re.compile("409"))  # the browser's own line about a refusal
        story = ada.call("POST", "/v1/stories", {"title": "Lamps", "body": "First words."})
        page = ada.open(f"/stories/{story['id']}")
        page.get_by_label("Your words, in Markdown").fill("My words.")
        ada.call("PATCH", f"/v1/stories/{story['id']}", {"version": 1, "body": "Words from the other desk."})
        page.get_by_role("button", name="Save the draft").click()
        expect(page.get_by_text("Words from the other desk.")).to_be_visible()
        page.get_by_role("button", name="Save my words instead").click()
        expect(page.get_by_text("Words from the other desk.")).to_have_count(0)
        assert ada.call("GET", f"/v1/stories/{story['id']}")["body"] == "My words."
        page.get_by_label("Your words, in Markdown").fill("Not saved yet.")
        page.reload()
        wait_live(page)
        expect(page.get_by_label("Your words, in Markdown")).to_have_value("Not saved yet.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_320_pixels_are_enough(
    services: Stack, database: Database, chromium: Browser, scheme: Any
) -> None:
    with reader(chromium, services.url, "Ada", width=320, color_scheme=scheme) as ada:
        give_role(database, ada, "moderator")
        post = ada.post(WORDS + "\n" + "wide " * 3 + "`" + "x" * 300 + "`", "lamplight", kind="story", title="Lamps")
        draft = ada.call("POST", "/v1/stories", {"title": "A draft", "body": WORDS, "topics": ["lamplight"]})
        waits = ada.call("POST", "/v1/stories", {"title": "It waits", "body": WORDS, "content_warning": "heights"})
        ada.call("POST", f"/v1/stories/{waits['id']}/submit", {"version": 1})
        for path, there in (
            ("/topics/lamplight?kind=story", "Read the story"),
            (f"/posts/{post['id']}", "half past"),
            ("/stories", "A draft"),
            ("/stories/review", "It waits"),
            (f"/stories/{draft['id']}", "Hand it in"),
            (f"/stories/{waits['id']}", "Publish it"),
        ):
            page = ada.open(path)
            expect(page.get_by_text(there).first).to_be_visible()
            check_axe(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
