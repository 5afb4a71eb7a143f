"""Words on their way: changed in their place, met by other changes, and never lost, whatever ends meanwhile."""

import re
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.readers import CUT, PASSWORD, Reader, reader, wait_live
from tests.stack import Stack

TOPIC = "/topics/lamplight"


def edit(person: Reader, words: str) -> None:
    """Open a post of theirs for changes."""
    card = person.card(words)
    card.get_by_label("Edit or delete this post").click()
    card.get_by_role("button", name="Edit", exact=True).click()


def test_an_edit_changes_topics_and_photos_too(services: Stack, chromium: Browser, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        Image.new("RGB", (320, 200), "orange").save(tmp_path / f"{name}.png")
    with reader(chromium, services.url, "Ada", width=390) as ada:
        page = ada.open("/")
        page.get_by_role("button", name="What's on your mind?").click()
        page.get_by_label("What's on your mind?").fill("A wall. #lamplight")
        page.get_by_label("Add photos").set_input_files([tmp_path / "one.png", tmp_path / "two.png"])
        page.get_by_label("What does photo 1 show?").fill("First")
        page.get_by_label("What does photo 2 show?").fill("Second")
        page.get_by_role("button", name="Post", exact=True).click()
        expect(page.locator("article img")).to_have_count(2)

        edit(ada, "A wall.")
        form = page.get_by_role("form", name="Edit your post")
        form.get_by_label("Add a topic").fill("Oil Cans")
        form.get_by_label("Add a topic").press("Enter")
        form.get_by_label("Add a topic").fill("#wicks")
        form.get_by_role("button", name="Remove photo 1").click()
        form.get_by_label("Add photos").set_input_files(tmp_path / "three.png")
        form.get_by_label("What does photo 2 show?").fill("Third")
        form.get_by_role("button", name="Save changes").click()
        expect(form).to_have_count(0)
        for number, alt in enumerate(("Second", "Third")):
            expect(page.locator("article img").nth(number)).to_have_attribute("alt", alt)
        named = page.get_by_label("Topics of this post").locator("a")
        expect(named).to_have_text(["#oilcans", "#wicks", "#lamplight"])

        edit(ada, "A wall.")
        form.get_by_role("button", name="Take it out of oilcans").click()
        form.get_by_role("button", name="Save changes").click()
        expect(named).to_have_text(["#wicks", "#lamplight"])
        found = ada.call("GET", page.url.removeprefix(services.url).replace("/posts", "/v1/posts"))
        assert found["topics"] == ["wicks", "lamplight"]
        assert [photo["alt"] for photo in found["media"]] == ["Second", "Third"]


def test_a_comment_meets_a_change_made_elsewhere_without_being_lost(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        ada.allowed.append(re.compile("409"))
        post = ada.post("Oil for the lamp.", "lamplight")
        comment = ada.call("POST", f"/v1/posts/{post['id']}/comments", {"body": "Which oil?"})
        page = ada.open(f"/posts/{post['id']}")
        card = page.locator(f"[data-comment='{comment['id']}']")
        card.get_by_label("Edit or delete this comment").click()
        card.get_by_role("button", name="Edit", exact=True).click()
        card.get_by_label("Your words").fill("Which oil, and how much?")
        ada.call("PATCH", f"/v1/comments/{comment['id']}", {"version": 1, "body": "Whose oil?"})
        page.reload()  # what was begun against the older version stays so
        card.get_by_role("button", name="Save changes").click()
        expect(card.locator("blockquote")).to_have_text(["Whose oil?", "Which oil, and how much?"])
        expect(card.get_by_label("Your words")).to_have_value("Which oil, and how much?")
        card.get_by_role("button", name="Save my words instead").click()
        expect(card.get_by_label("Your words")).to_have_count(0)
        expect(card.locator(".body")).to_have_text("Which oil, and how much?")


def test_photos_and_what_was_said_of_them_outlive_a_reload(services: Stack, chromium: Browser, tmp_path: Path) -> None:
    Image.new("RGB", (320, 200), "orange").save(tmp_path / "lamp.png")
    with reader(chromium, services.url, "Ada") as ada:
        ada.post("A lamp.", "lamplight")
        page = ada.open(TOPIC)
        page.get_by_role("button", name="What's on your mind?").click()
        page.get_by_label("Add photos").set_input_files(tmp_path / "lamp.png")
        described = page.get_by_label("What does photo 1 show?")
        described.fill("A lamp, described")
        # As soon as the photo itself is kept: words typed right before one leaves are kept all the same.
        page.wait_for_function(KEPT)
        page.evaluate(LEFT_TOO_SOON)
        described.fill("A lamp, described at length")
        page.reload()
        expect(page.get_by_label("What does photo 1 show?")).to_have_value("A lamp, described at length")
        page.get_by_label("What's on your mind?").fill("With a picture.")
        page.get_by_role("button", name="Post to").click()
        expect(ada.card("With a picture.").locator("img")).to_have_attribute("alt", "A lamp, described at length")


def test_a_photo_that_was_sent_too_long_ago_is_sent_anew(services: Stack, chromium: Browser, tmp_path: Path) -> None:
    Image.new("RGB", (320, 200), "orange").save(tmp_path / "lamp.png")
    with reader(chromium, services.url, "Ada") as ada:
        ada.allowed.append(re.compile("503"))
        ada.post("A lamp.", "lamplight")
        page = ada.open(TOPIC)
        sent: list[Any] = []
        uploaded = re.compile("/v1/media$")
        page.on("requestfinished", lambda asked: sent.append(asked) if uploaded.search(asked.url) else None)
        page.route("**/v1/posts", lambda route: route.fulfill(status=503, json={"status": 503, "detail": "Away."}))
        write(page, "With a picture of yesterday.")
        page.get_by_label("Add photos").set_input_files(tmp_path / "lamp.png")
        post, tried = page.get_by_role("button", name="Post to"), page.get_by_text("It's kept here: try again.")
        for _ in range(2):
            post.click()
            expect(tried).to_be_visible()
        assert len(sent) == 1, "it is there: once is enough"
        page.unroute("**/v1/posts")
        page.evaluate("Date.now = ((now) => () => now() + 21 * 3600_000)(Date.now.bind(Date))")  # nobody keeps it now
        post.click()
        expect(ada.card("With a picture of yesterday.").locator("img")).to_be_visible()
        newest = ada.call("GET", "/v1/topics/lamplight/posts?limit=1")["items"][0]
        assert [photo["id"] for photo in newest["media"]] == [asked.response().json()["id"] for asked in sent[1:]]


LEFT_TOO_SOON = """Object.defineProperty(
  IDBObjectStore.prototype, "put", { value() { return this.transaction.abort() ?? {}; } })"""
KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("chorus.drafts", 1);
  opening.onsuccess = () => {
    const asked = opening.result.transaction("photos").objectStore("photos").getAll();
    asked.onsuccess = () => resolve(asked.result.some((photos) => photos[0].alt === "A lamp, described"));
    opening.result.close();
  };
})"""


def write(page: Page, words: str) -> None:
    page.get_by_role("button", name="What's on your mind?").click()
    page.get_by_label("What's on your mind?").fill(words)


def sign_in(page: Page, handle: str) -> None:
    dialog = page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("Handle").fill(handle)
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_have_count(0)


def test_a_session_that_ends_takes_no_words_along(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        ada.allowed.append(re.compile("401|429"))
        handle = ada.call("GET", "/v1/me")["handle"]
        ada.post("A lamp.", "lamplight")
        page = ada.open(TOPIC)
        write(page, "Half a sentence")
        # Ended somewhere else: the socket hears of it (4503), the page becomes a guest's.
        ada.call("DELETE", "/v1/sessions/current")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        wait_live(page)
        expect(page.get_by_label("What's on your mind?")).to_have_value("Half a sentence")
        page.get_by_role("button", name="Post to").click()
        sign_in(page, handle)
        expect(page.get_by_label("What's on your mind?")).to_have_value("Half a sentence")

        limited = {"type": "about:blank", "title": "Too many", "status": 429, "code": "too_many", "detail": "Slowly."}
        page.route("**/v1/posts", lambda route: route.fulfill(status=429, json=limited, headers={"Retry-After": "7"}))
        page.get_by_role("button", name="Post to").click()
        expect(page.get_by_text("It's kept here: try again. Slowly. Please wait 7 s.")).to_be_visible()
        page.unroute("**/v1/posts")

        # Signing out puts them away for their writer alone.
        page.get_by_role("button", name="Your account").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="What's on your mind?")).to_be_visible()
        expect(page.get_by_text("Half a sentence")).to_have_count(0)
        page.get_by_role("button", name="Sign in").click()
        sign_in(page, handle)
        page.get_by_role("button", name="Post to").click()
        expect(ada.card("Half a sentence").locator(".body")).to_be_visible()


def test_while_words_are_on_their_way_none_can_be_typed_that_would_be_in_no_post(
    services: Stack, chromium: Browser
) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        ada.post("A lamp.", "lamplight")
        page = ada.open(TOPIC)
        on_their_way: list[Route] = []
        page.route("**/v1/posts", lambda route: on_their_way.append(route))
        write(page, "A whole sentence.")
        page.get_by_role("button", name="Post to").click()
        field = page.get_by_label("What's on your mind?")
        expect(field).not_to_be_editable()
        field.press_sequentially(" And more.")
        expect(page.get_by_role("button", name="Discard")).to_be_disabled()
        on_their_way[0].abort()
        ada.allowed.append(CUT)
        expect(page.get_by_text("It's kept here: try again.")).to_be_visible()
        expect(field).to_be_editable()
        expect(field).to_be_focused()
        page.unroute("**/v1/posts")
        field.press_sequentially(" And more.")
        page.get_by_role("button", name="Post to").click()
        expect(ada.card("A whole sentence. And more.").locator(".body")).to_be_visible()


def test_words_on_what_was_taken_away_are_kept_until_they_are_discarded(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        post = ada.post("A lamp.", "lamplight")
        ada.open(TOPIC)
        bo.open(TOPIC)
        edit(ada, "A lamp.")
        ada.page.get_by_label("Your words").fill("A lamp, and a long story.")
        bo.page.get_by_role("button", name="Comment").click()
        bo.page.get_by_label("Write a comment").fill("A kind word.")
        ada.call("DELETE", f"/v1/posts/{post['id']}")
        for person, words in ((ada, "A lamp, and a long story."), (bo, "A kind word.")):
            left = person.page.locator(".post")
            expect(left).to_contain_text("This post was taken away while you were writing.")
            expect(left.locator("blockquote")).to_have_text(words)
            left.get_by_role("button", name="Discard").click()
            person.page.get_by_role("dialog").get_by_role("button", name="Throw them away").click()
            expect(left).to_have_count(0)
