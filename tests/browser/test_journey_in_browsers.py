"""Real pages against real services: what one person does, another sees, and a cut loses nothing."""

import re

from playwright.sync_api import APIResponse, Browser, Route, expect

from tests.browser.readers import CUT, PATIENCE, reader, wait_back, wait_live
from tests.stack import Stack

TOPIC = "/topics/lamplight"


def test_a_post_waits_behind_the_pill_and_reactions_and_comments_move(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo", width=390) as bo:
        ada.post("The first lamp of the evening. #Lamplight", "lamplight")
        ada.open(TOPIC)
        bo.open(TOPIC)
        bo.page.get_by_role("button", name="What's on your mind?").click()
        bo.page.get_by_label("What's on your mind?").fill("A second lamp 🪔 across the yard. #Lamplight")
        bo.page.get_by_role("button", name="Post to").click()
        expect(bo.card("A second lamp")).to_be_visible()
        expect(bo.page.get_by_role("button", name="1 new post")).to_have_count(0)

        pill = ada.page.get_by_role("button", name="1 new post")
        expect(pill).to_be_visible()
        expect(ada.card("A second lamp")).to_have_count(0)
        expect(ada.page.locator(".facts")).to_contain_text("2 posts")
        pill.click()
        card = ada.card("A second lamp")
        expect(card).to_be_visible()

        card.get_by_role("button", name="React").click()
        card.get_by_role("button", name="Strength").click()
        expect(bo.card("A second lamp").locator(".counts").first).to_have_text("1 reaction")
        card.get_by_role("button", name="Comment").click()
        card.get_by_placeholder("Write a comment").fill("I can see it from here.")
        card.get_by_role("button", name="Comment", exact=True).click()
        expect(bo.card("A second lamp").locator(".counts").first).to_contain_text("1 comment")
        expect(bo.page.get_by_role("button", name="Inbox, 2 unread")).to_be_visible()

        bo.card("A second lamp").get_by_role("button", name="Read comments").click()
        expect(bo.card("A second lamp").locator(".comment .body")).to_have_text("I can see it from here.")


def test_an_edit_settles_and_a_deletion_folds_away(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        ada.post("A lamp with no name.", "lamplight")
        ada.open(TOPIC)
        bo.open(TOPIC)
        own = ada.card("A lamp with no name")
        own.get_by_label("Edit or delete this post").click()
        own.get_by_role("button", name="Edit", exact=True).click()
        ada.page.get_by_label("Your words").fill("A lamp called Ember.")
        ada.page.get_by_role("button", name="Save changes").click()
        expect(bo.card("A lamp called Ember").locator(".by").first).to_contain_text("edited")

        ada.card("Ember").get_by_label("Edit or delete this post").click()
        ada.card("Ember").get_by_role("button", name="Delete", exact=True).click()
        ada.page.get_by_role("button", name="Delete it").click()
        expect(bo.page.locator(".post")).to_have_count(0)
        expect(ada.page.get_by_text("Nothing here yet.")).to_be_visible()


def test_words_meet_a_change_made_elsewhere_without_being_lost(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        ada.allowed.append(re.compile("409"))
        post = ada.post("Oil for the #lamp.", "lamplight")
        ada.open(TOPIC)
        own = ada.page.locator(f"[data-post='{post['id']}']")
        own.get_by_label("Edit or delete this post").click()
        own.get_by_role("button", name="Edit", exact=True).click()
        own.get_by_label("Your words").fill("Oil, and a wick.")
        ada.call("PATCH", f"/v1/posts/{post['id']}", {"version": 1, "body": "Oil from the other #lamp."})
        own.get_by_role("button", name="Save changes").click()
        expect(own.get_by_role("heading", name="It now reads")).to_be_visible()
        # Only what differs: the topics asked for are the same, whatever tags the words have.
        expect(own.locator("blockquote")).to_have_text(["Oil from the other #lamp.", "Oil, and a wick."])
        expect(own.get_by_label("Your words")).to_have_value("Oil, and a wick.")
        own.get_by_role("button", name="Save my words instead").click()
        expect(own.get_by_role("form", name="Edit your post")).to_have_count(0)
        expect(own.locator(".body")).to_have_text("Oil, and a wick.")


def test_nothing_is_missing_after_notify_was_killed_and_came_back(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        ada.allowed.append(CUT)
        seen = bo.post("Seen before the cut.", "lamplight")
        ada.open(TOPIC)
        services.notify.kill()
        expect(ada.page.locator(".live")).not_to_have_attribute("data-state", "live", timeout=PATIENCE)
        for number in range(3):
            bo.post(f"Written in the dark, {number}.", "lamplight")
        bo.call("PUT", f"/v1/posts/{seen['id']}/reaction", {"kind": "hug"})
        services.notify.start()
        wait_back(ada.page)
        expect(ada.card("Seen before the cut").locator(".counts")).to_have_text("1 reaction")
        ada.page.get_by_role("button", name="3 new posts").click()
        expect(ada.page.locator(".post .body")).to_have_text(
            [*(f"Written in the dark, {number}." for number in (2, 1, 0)), "Seen before the cut."]
        )


def test_two_tabs_agree_on_what_is_mine_and_what_is_read(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        post = ada.post("Two windows, one lamp.", "lamplight")
        bo.call("POST", f"/v1/posts/{post['id']}/comments", {"body": "I see both."})
        ada.open(TOPIC)
        other = ada.new_page()
        other.goto(services.url + TOPIC)
        wait_live(other)
        for page in (ada.page, other):
            expect(page.get_by_role("button", name="Inbox, 1 unread")).to_be_visible()

        ada.page.get_by_role("button", name="React").click()
        ada.page.get_by_role("button", name="Joy").click()
        expect(other.locator(".react > button[aria-pressed=true]")).to_have_text("Joy")

        ada.page.get_by_role("button", name="Inbox, 1 unread").click()
        ada.page.get_by_role("button", name="Mark all as read").click()
        expect(other.get_by_role("button", name="Inbox", exact=True)).to_be_visible()


def test_words_that_could_not_be_saved_are_kept_and_posted_once(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        ada.allowed.append(re.compile("Failed to load resource"))
        ada.post("A lamp to answer.", "lamplight")
        ada.open(TOPIC)
        # The first answer is lost on its way back: the post is made, and the page can't know.
        lost: list[APIResponse] = []

        def lose(route: Route) -> None:
            if lost:
                route.continue_()
                return
            lost.append(route.fetch())
            route.abort()

        ada.page.route("**/v1/posts", lose)
        ada.page.get_by_role("button", name="What's on your mind?").click()
        ada.page.get_by_label("What's on your mind?").fill("A word for the dark.")
        ada.page.get_by_role("button", name="Post to").click()
        expect(ada.page.get_by_text("We couldn't save this. It's kept here: try again.")).to_be_visible()
        assert lost
        ada.page.reload()
        expect(ada.page.get_by_label("What's on your mind?")).to_have_value("A word for the dark.")
        ada.page.get_by_role("button", name="Post to").click()
        expect(ada.page.get_by_role("button", name="What's on your mind?")).to_be_visible()
        expect(ada.card("A word for the dark.")).to_have_count(1)
        items = ada.call("GET", "/v1/topics/lamplight/posts")["items"]
        assert [item["body"] for item in items] == ["A word for the dark.", "A lamp to answer."]
