"""What readers ask of their system: forced colours, contrast, no motion, large text; what a screen reader hears."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.readers import reader
from tests.browser.test_access import check_axe, check_fits, furnish
from tests.stack import Stack

TOPIC = "/topics/lamplight"
SYSTEM = """(name) => {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = name;
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}"""


def test_forced_colours_still_tell_what_is_chosen_and_what_can_be_pressed(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada", width=390, forced_colors="active") as ada:
        post = ada.post("A lamp.", "lamplight")
        ada.call("PUT", f"/v1/posts/{post['id']}/reaction", {"kind": "hug"})
        page = ada.open(TOPIC)
        assert page.evaluate("matchMedia('(forced-colors: active)').matches")
        highlight = page.evaluate(SYSTEM, "Highlight")
        chosen = page.locator(".react > button")
        expect(chosen).to_have_css("background-color", highlight)
        expect(page.locator(".tabs [aria-current]")).to_have_css("background-color", highlight)
        for button in (page.get_by_role("button", name="Comment"), page.locator(".bell")):
            expect(button).to_have_css("border-top-style", "solid")
        check_axe(page)


def test_more_contrast_and_no_motion_are_given_to_whoever_asks(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada", reduced_motion="reduce") as ada:
        ada.post("A lamp.", "lamplight")
        page = ada.open(TOPIC)
        soft = "getComputedStyle(document.querySelector('.by')).color"
        before = page.evaluate(soft)
        page.emulate_media(contrast="more")
        assert page.evaluate(soft) != before
        page.get_by_role("button", name="Inbox").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate("document.getAnimations().length") == 0
        page.keyboard.press("Escape")
        page.get_by_role("button", name="React").click()
        assert page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("path", ["/", TOPIC, "/posts/{id}"])
def test_text_at_twice_its_size_and_wide_apart_stays_on_the_page(services: Stack, chromium: Browser, path: str) -> None:
    with reader(chromium, services.url, "Ada", width=640) as ada:
        page = ada.open(path.replace("{id}", furnish(ada)))
        page.evaluate("""() => {
          const sheet = new CSSStyleSheet();  // WCAG 1.4.4 and 1.4.12
          sheet.replaceSync(`html { font-size: 200%; } p { margin-bottom: 2em !important; }
            * { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }`);
          document.adoptedStyleSheets = [sheet];
        }""")
        check_fits(page)
        cut = page.evaluate("""() => [...document.querySelectorAll("main *, header *")].filter((each) =>
          !each.closest(".unseen, svg, textarea") && each.offsetParent && getComputedStyle(each).overflow !== "visible"
          && (each.scrollWidth > each.clientWidth + 2 || each.scrollHeight > each.clientHeight + 2),
        ).map((each) => each.outerHTML.slice(0, 120))""")
        assert cut == []


def test_a_screen_reader_hears_who_wrote_what_and_what_can_be_done(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        post = ada.post("A lamp for whoever comes.", "lamplight", title="The lamp")
        bo.call("POST", f"/v1/posts/{post['id']}/comments", {"body": "I came."})
        page = ada.open(TOPIC)
        page.get_by_role("button", name="Read comments").click()
        expect(page.locator("body")).to_match_aria_snapshot("""
          - link "Skip to the posts"
          - banner:
            - link "Chorus"
            - paragraph:
              - status: Live
            - button /Inbox/
            - button "Your account, Ada"
          - main:
            - region "About this topic":
              - heading "lamplight" [level=1]
              - button "Join the conversation"
            - navigation "Order":
              - link "What's new"
              - link "Hot"
            - button "What's on your mind?"
            - article /Ada .+/:
              - link
              - button "Edit or delete this post"
              - heading "The lamp" [level=2]:
                - link "The lamp"
              - paragraph: A lamp for whoever comes.
              - paragraph: 1 comment
              - button "React"
              - button "Hide comments" [expanded]
              - region "Comments":
                - list:
                  - listitem:
                    - article /Bo .+/:
                      - paragraph: I came.
                      - button "React"
                      - button "Reply"
                - textbox "Write a comment"
          - complementary
        """)
        page.get_by_role("button", name="Edit or delete this post").click()
        page.get_by_role("button", name="Edit", exact=True).click()
        expect(page.get_by_role("form", name="Edit your post")).to_match_aria_snapshot("""
          - form "Edit your post":
            - textbox "Title, if you like"
            - textbox "Your words"
            - group "Topics":
              - list:
                - listitem:
                  - button "Take it out of lamplight"
              - textbox "Add a topic"
              - button "Add" [disabled]
            - button "Add photos"
            - textbox "Content warning, if one is needed"
            - button "Cancel"
            - button "Save changes"
        """)
        check_axe(page)
