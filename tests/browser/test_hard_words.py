"""Words as people write them: very long, right to left, deep in a thread; nothing bursts, nothing changes its place."""

from playwright.sync_api import Browser, expect

from tests.browser.readers import reader
from tests.browser.test_access import check_fits
from tests.stack import Stack

TOPIC = "/topics/lamplight"


def test_a_long_post_shows_its_beginning_in_a_list_and_all_of_itself_on_its_page(
    services: Stack, chromium: Browser
) -> None:
    with reader(chromium, services.url, "Ada", width=390) as ada:
        sentence = "The lamp was lit, and then it was lit again. "
        post = ada.post(sentence * 100 + "The end. https://lamps.example/", "lamplight")
        short = ada.post(sentence * 5, "lamplight")
        page = ada.open(TOPIC)
        body = page.locator(f"[data-post='{post['id']}'] .body")
        expect(page.locator(f"[data-post='{short['id']}']").get_by_role("button", name="Read on")).to_have_count(0)
        read_on = page.get_by_role("button", name="Read on")
        expect(read_on).to_be_visible()
        folded = body.evaluate("(element) => element.offsetHeight")
        assert folded < 500
        read_on.click()
        expect(read_on).to_have_count(0)
        assert body.evaluate("(element) => element.offsetHeight") > 2 * folded

        page.reload()
        body.get_by_role("link").focus()  # by keyboard: what is in focus is seen
        expect(page.get_by_role("button", name="Read on")).to_have_count(0)
        ada.open(f"/posts/{post['id']}")
        expect(page.get_by_text("The end.")).to_be_visible()
        expect(page.get_by_role("button", name="Read on")).to_have_count(0)


def test_a_name_right_to_left_leaves_the_time_where_it_is(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "צוקר", width=320) as name, reader(chromium, services.url, "Bo") as bo:
        post = name.post(
            "ערב טוב לכולם, גם למי שער עכשיו. #Lamplight ואז עוד קצת.\nAnd a line in English.", "lamplight"
        )
        page = bo.open(f"/posts/{post['id']}")
        left = "(element) => element.getBoundingClientRect().left"
        assert page.locator(".by b").evaluate(left) < page.locator(".by time").evaluate(left)
        lines = page.locator(".body").evaluate(
            """(body) => [body.firstChild, body.lastChild].map((text) => {
              const range = document.createRange();
              range.selectNodeContents(text);
              const rects = [...range.getClientRects()];
              const box = body.getBoundingClientRect();
              return [rects[0].right > box.right - 2, rects.at(-1).left < box.left + 2];
            })"""
        )
        assert lines[0][0], "a line in Hebrew begins at the right"
        assert lines[1][1], "a line in English begins at the left"


def test_an_answer_too_deep_to_be_set_in_says_whom_it_answers(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada", width=320) as ada, reader(chromium, services.url, "Bo") as bo:
        post = ada.post("How deep is it?", "lamplight")
        parent = None
        for depth in range(7):
            body = {"body": f"Depth {depth}.", **({"parent": parent} if parent else {})}
            parent = (bo if depth % 2 else ada).call("POST", f"/v1/posts/{post['id']}/comments", body)["id"]
        page = ada.open(f"/posts/{post['id']}")
        comments = page.locator(".comment")
        expect(comments).to_have_count(7)
        expect(comments.nth(3).locator(".to")).to_have_count(0)
        expect(comments.nth(5).locator(".to")).to_have_text("to Ada")
        assert comments.nth(6).evaluate("(element) => element.clientWidth") > 200
        check_fits(page)
