"""One's own account on the page: address, password, where one is signed in, leaving; and the pages of letters."""

import re
import time

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.readers import PASSWORD, PATIENCE, Reader, reader, wait_live
from tests.browser.test_access import check_axe, check_fits
from tests.notify.delivery.mail import MailServer, words
from tests.stack import Stack

NEW = "a lake, a swan and fog"
REFUSED = re.compile("status of 4(01|10|22)")


@pytest.fixture
def services(mailing_services: Stack) -> Stack:
    """The services, told of a mail server."""
    return mailing_services


def link(mail: MailServer, path: str) -> str:
    """The link to this page in the newest letter that has one, once it is there."""
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        for message in reversed(mail.letters):
            found = re.search(rf"http\S+(/{path}#\S+)", words(message))
            if found:
                mail.letters.remove(message)
                return found[1]
        time.sleep(0.05)
    raise AssertionError(f"no letter leads to {path}")


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def sign_in_elsewhere(person: Reader, handle: str, agent: str) -> None:
    answer = person.context.request.post(
        f"{person.url}/v1/sessions", data={"handle": handle, "password": PASSWORD}, headers={"User-Agent": agent}
    )
    assert answer.ok


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_account_s_page_by_keyboard_in_small_and_by_axe(services: Stack, chromium: Browser, scheme: str) -> None:
    with reader(chromium, services.url, "Ada", width=320, color_scheme=scheme) as ada:
        page = ada.open("/topics/lamplight") if scheme == "dark" else ada.open("/")
        ada.allowed.append(re.compile("status of 404"))
        page.get_by_role("button", name="Your account, Ada").press("Enter")
        page.get_by_role("link", name="Your account").press("Enter")
        expect(page.get_by_role("heading", level=1, name="Your account")).to_be_focused()
        expect(page.locator(".sessions li")).to_have_count(2)
        expect(page.locator(".skeletons")).to_have_count(0)
        check_fits(page)
        check_axe(page)
        opener = page.get_by_role("button", name="Delete my account")
        opener.press("Enter")
        dialog = page.get_by_role("dialog", name="Delete your account")
        expect(dialog.get_by_role("radio", name="Remove my words")).to_be_checked()
        check_fits(page)
        check_axe(page)
        page.keyboard.press("Escape")
        expect(opener).to_be_focused()
        for path in ("/recover", "/reset#x", "/confirm#x"):
            page.goto(services.url + path)
            expect(page.locator(".part")).to_be_visible()
            check_fits(page)
            check_axe(page)


def test_an_address_is_confirmed_and_brings_its_member_back(
    services: Stack, chromium: Browser, mail: MailServer
) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url) as guest:
        ada.allowed.append(REFUSED)
        guest.allowed.append(REFUSED)
        handle = ada.call("GET", "/v1/me")["handle"]
        page = ada.open("/account")
        address = part(page, "E-mail address")
        address.get_by_label("Address", exact=True).fill("ada@post.test")
        address.get_by_label("Your password").fill("not the password")
        address.get_by_role("button", name="Send me a letter").click()
        expect(address).to_contain_text("That is not your password.")
        address.get_by_label("Your password").fill(PASSWORD)
        address.get_by_role("button", name="Send me a letter").click()
        expect(address).to_contain_text("waits for you to follow the link")

        there = guest.open(link(mail, "confirm"))
        there.get_by_role("button", name="Confirm my address").click()
        expect(there.get_by_role("status").filter(has_text="is confirmed for")).to_contain_text(f"@{handle}")
        page.reload()
        expect(address).to_contain_text("confirmed")

        there.goto(services.url)
        there.get_by_role("button", name="Sign in").click()
        there.get_by_role("link", name="Forgot your password?").click()
        there.get_by_label("Your address").fill("ada@post.test")
        there.get_by_role("button", name="Send me a letter").click()
        expect(there.get_by_role("heading", name="Look for a letter")).to_be_visible()
        reset = link(mail, "reset")
        guest.open(reset)
        there.get_by_label("New password", exact=True).fill("password1")
        there.get_by_role("button", name="Set my password").click()
        expect(there.locator(".fault")).to_contain_text("among the first")
        there.get_by_label("New password", exact=True).fill(NEW)
        there.get_by_role("button", name="Set my password").click()
        expect(there.get_by_role("heading", name="Your password is set")).to_be_visible()

        wait_live(page)
        expect(page.get_by_role("banner").get_by_role("button", name="Sign in")).to_be_visible()
        there.get_by_role("main").get_by_role("button", name="Sign in").click()
        dialog = there.get_by_role("dialog")
        dialog.get_by_label("Handle").fill(handle)
        dialog.get_by_label("Password").fill(NEW)
        dialog.get_by_role("button", name="Sign in", exact=True).click()
        expect(there.get_by_role("button", name="Your account, Ada")).to_be_visible()
        guest.open(reset)  # in the same tab: only what stands behind the # is new
        there.get_by_label("New password", exact=True).fill(NEW)
        there.get_by_role("button", name="Set my password").click()
        expect(there.get_by_role("link", name="Ask for a new letter")).to_be_visible()


def test_sessions_are_ended_the_password_changed_and_the_account_left(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada:
        ada.allowed.append(REFUSED)
        handle = ada.call("GET", "/v1/me")["handle"]
        post = ada.post("A lamp that stays. #Lamplight", "lamplight")
        for agent in ("Mozilla/5.0 (iPhone) Version/18 Safari/604", "curl/8.9"):
            sign_in_elsewhere(ada, handle, agent)
        page = ada.open("/account")
        sessions = page.locator(".sessions li")
        expect(sessions).to_have_count(4)
        page.get_by_role("button", name="Sign out Safari on iPhone").click()
        expect(sessions).to_have_count(3)
        page.get_by_role("button", name="Sign out everywhere else").click()
        expect(sessions).to_have_count(1)
        expect(sessions).to_contain_text("this one")

        password = part(page, "Password")
        password.get_by_label("Present password").fill(PASSWORD)
        password.get_by_label("New password").fill(NEW)
        password.get_by_role("button", name="Change my password").click()
        expect(password.get_by_role("status")).to_contain_text("Your password is changed")

        page.get_by_role("button", name="Delete my account").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("radio", name="Leave my words").check()
        dialog.get_by_label("Your password").fill(NEW)
        dialog.get_by_role("button", name="Delete my account").click()
        expect(page.get_by_text("You are not signed in.")).to_be_visible()
        page = ada.open(f"/posts/{post['id']}")
        expect(page.locator(".by")).to_contain_text("Deleted member")
        expect(page.get_by_text("A lamp that stays.")).to_be_visible()


def test_words_leave_every_open_page_and_answers_to_them_stay(services: Stack, chromium: Browser) -> None:
    with reader(chromium, services.url, "Ada") as ada, reader(chromium, services.url, "Bo") as bo:
        post = ada.post("Words that go. #Lamplight", "lamplight", title="A title that goes")
        bo.call("POST", f"/v1/posts/{post['id']}/comments", {"body": "An answer that stays."})
        ada.call("POST", f"/v1/posts/{post['id']}/comments", {"body": "Hers goes."})
        page = bo.open(f"/posts/{post['id']}")
        expect(page.get_by_text("Hers goes.")).to_be_visible()
        ada.call("POST", "/v1/me/deletion", {"password": PASSWORD, "words": "remove"})
        expect(page.get_by_text("Whoever wrote this took their words away.")).to_be_visible()
        expect(page.locator(".by").first).to_contain_text("Deleted member")
        expect(page.get_by_text("Hers goes.")).to_have_count(0)
        expect(page.get_by_text("An answer that stays.")).to_be_visible()
        expect(page.locator("h1")).to_have_count(1)
        check_axe(page)
