"""The page by keyboard, in small and by axe: nobody needs a mouse, a wide screen or good eyes."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.browser.readers import CUT, PASSWORD, Reader, reader
from tests.stack import Stack

AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text()
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


def furnish(person: Reader) -> str:
    """A topic with every kind of thing in it; gives the first post's id."""
    first = person.post(f"A plain one, with a long word: {LONG} https://lamps.example/{LONG} #Lamplight", "lamplight")
    person.post("Behind a warning.", "lamplight", content_warning="Dark rooms", title="A hidden title")
    person.post("A story of a lamp.", "lamplight", title=f"A lamp and {LONG}")
    root = person.call("POST", f"/v1/posts/{first['id']}/comments", {"body": f"An answer, {LONG}."})
    for body in ("One deeper.", "Two deeper.", "Three deeper."):
        root = person.call("POST", f"/v1/posts/{first['id']}/comments", {"body": body, "parent": root["id"]})
    return str(first["id"])


def check_axe(page: Page) -> None:
    """No violation of WCAG 2.2 A and AA that axe can see."""
    page.evaluate(AXE)
    # What is still appearing has no contrast yet.
    page.evaluate("() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => {})))")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("(tags) => axe.run({runOnly: {type: 'tag', values: tags}})", tags)
    told = [(rule["id"], [node["html"][:150] for node in rule["nodes"]]) for rule in found["violations"]]
    assert told == []
    assert found["passes"], "axe looked at nothing"


def check_fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], f"{page.url} is {width[0]} wide on {width[1]}"


def test_signing_up_writing_and_reacting_by_keyboard_alone(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url) as guest:
        ada.post("A lamp for whoever comes.", "lamplight")
        page = guest.open("/topics/lamplight")
        keys = page.keyboard

        def tab_to(role: str, name: str) -> None:
            target = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
            expect(target).to_be_visible()
            for _ in range(60):
                keys.press("Tab")
                if target.evaluate("(element) => element === document.activeElement"):
                    return
            raise AssertionError(f"{role} {name} can't be reached with Tab")

        tab_to("button", "Sign in")
        keys.press("Enter")
        tab_to("button", "Make an account")
        keys.press("Enter")
        for label, words in (("Handle", "keysonly"), ("Name", "Keys Only"), ("Password", PASSWORD)):
            tab_to("textbox", label)
            keys.type(words)
        keys.press("Enter")
        expect(page.get_by_role("button", name="Your account, Keys Only")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)

        tab_to("button", "What's on your mind?")
        keys.press("Enter")
        keys.type("Typed, never clicked.")
        tab_to("button", "Post to")
        keys.press("Enter")
        expect(guest.card("Typed, never clicked.")).to_be_visible()
        expect(page.get_by_role("button", name="What's on your mind?")).to_be_focused()

        tab_to("button", "React")
        keys.press("Enter")
        tab_to("button", "Heart")
        keys.press("Enter")
        expect(guest.page.locator(".counts", has_text="1 reaction")).to_be_visible()
        expect(page.locator(".react > button").first).to_be_focused()

        tab_to("button", "Your account")
        keys.press("Enter")
        tab_to("button", "Sign out")
        keys.press("Enter")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_320_pixels_are_enough(services: Stack, chromium: Browser, scheme: str) -> None:
    with reader(chromium, services.url, "Ada", width=320, color_scheme=scheme) as ada:
        first = furnish(ada)
        for path in ("/", "/topics/lamplight", "/topics/lamplight?sort=hot", f"/posts/{first}"):
            page = ada.open(path)
            expect(page.locator(".skeletons")).to_have_count(0)
            expect(page.locator("h1")).to_have_count(1)
            check_fits(page)
            check_axe(page)

        page.get_by_role("button", name="React").first.click()
        page.get_by_label("Write a comment").fill("x" * 4_900)
        expect(page.get_by_text("100 characters left")).to_be_visible()
        check_fits(page)
        page.get_by_role("button", name="Inbox").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        check_fits(page)
        check_axe(page)


def test_a_dialog_gives_focus_back_and_one_h1_names_each_place(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        furnish(ada)
        page = ada.open("/topics/lamplight")
        bell = page.get_by_role("button", name="Inbox")
        bell.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(bell).to_be_focused()

        ada.card("A story of a lamp").get_by_role("heading").get_by_role("link").click()
        expect(page).to_have_url(re.compile(r"/posts/\d+$"))
        expect(page.locator("h1")).to_contain_text("A lamp and")
        expect(page).to_have_title(re.compile("^A lamp and"))
        page.go_back()
        expect(page.locator("h1")).to_have_text("lamplight", ignore_case=True)


def test_a_warning_hides_the_words_until_they_are_asked_for(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        furnish(ada)
        page = ada.open("/topics/lamplight")
        card = page.locator(".post").filter(has_text="Dark rooms")
        expect(card).not_to_contain_text("Behind a warning.")
        expect(card).not_to_contain_text("A hidden title")
        card.get_by_role("button", name="Show").click()
        expect(card).to_contain_text("Behind a warning.")
        card.get_by_role("button", name="Hide").click()
        expect(card).not_to_contain_text("Behind a warning.")


def test_a_guest_reads_live_and_is_asked_to_sign_in_only_to_write(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url) as guest:
        ada.post("Lit for everybody.", "lamplight")
        page = guest.open("/topics/lamplight")
        ada.post("And another.", "lamplight")
        expect(page.get_by_role("button", name="1 new post")).to_be_visible()
        page.get_by_role("button", name="Join the conversation").click()
        dialog = page.get_by_role("dialog", name="Sign in")
        expect(dialog).to_contain_text("Sign in to join.")
        dialog.get_by_role("button", name="Close").click()
        expect(page.get_by_role("button", name="Join the conversation")).to_be_focused()


# The words that lie under what matches `over`.
COVERED = """(over) => {
  const top = document.querySelector(over).getBoundingClientRect();
  const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walk.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(walk.currentNode);
    const box = range.getBoundingClientRect();
    const apart = box.bottom <= top.top || box.top >= top.bottom || box.right <= top.left || box.left >= top.right;
    if (box.width > 1 && !apart && !walk.currentNode.parentElement.closest(over)) found.push(walk.currentNode.data);
  }
  return found;
}"""


def test_on_a_phone_neither_a_cut_nor_news_moves_the_page_or_covers_words(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada", width=320) as ada, reader(chromium, services.url, "Bo") as bo:
        ada.allowed.append(CUT)
        bo.post("The first lamp is lit.", "lamplight")
        sockets: list[WebSocketRoute] = []

        def through(socket: WebSocketRoute) -> None:
            socket.connect_to_server()
            sockets.append(socket)

        ada.page.route_web_socket("**/v1/live", through)
        page = ada.open("/topics/lamplight")
        before = page.locator("h1").bounding_box()
        bo.post("And the second.", "lamplight")
        expect(page.locator(".pill")).to_be_visible()
        assert page.evaluate(COVERED, ".pill") == []
        ada.context.set_offline(True)
        sockets[-1].close(code=4000)
        expect(page.locator(".live")).to_contain_text("Offline")
        assert page.locator("h1").bounding_box() == before
        # The line box of a heading begins above its letters; this is less than what lies above them.
        strip = page.locator(".live").bounding_box()
        assert strip
        assert before
        assert strip["y"] + strip["height"] <= before["y"] + 4
