"""What letters say: plain words and one link. Pure functions; the link's token was signed a moment ago.

A token stands behind the # of its link, so that no log of addresses and no Referer header ever holds one, and following
the link alone changes nothing: programs that look at mail before people do follow every link.
"""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import NamedTuple

_SUBJECTS = {
    "confirm": "Confirm your address",
    "recover": "A new password for your account",
    "password_changed": "Your password was changed",
    "address_changed": "Your address was changed",
}
_WORDS = {
    "confirm": """\
Somebody, we hope you, gave this address for the account @{handle} at {place}.

If it was you, open this page and confirm it. The link works once, until {until}:

{link}

If it was not you, leave this letter alone: without a confirmation nothing comes of it.
""",
    "recover": """\
Somebody, we hope you, asked for a new password for the account @{handle} at {place}.

If it was you, choose one here. The link works once, until {until}. You will then be signed out everywhere:

{link}

If it was not you, leave this letter alone: your password stays as it is.
""",
    "password_changed": """\
The password of the account @{handle} at {place} was changed just now, and everybody else who was signed in with it
was signed out.

If it was you, all is well. If it was not, take your account back with a new password, by a letter to this address:

{place}/recover
""",
    "address_changed": """\
The account @{handle} at {place} no longer uses this address: it was changed or removed by somebody who knows the
password. Letters go there no more; this is the last one.

If that was not you, sign in and change your password, or ask whoever runs {place}.
""",
}
PAGES = {"confirm": "confirm", "recover": "reset"}
"""Where the links of letters lead."""


class Letter(NamedTuple):
    """A row of feed_v1.letter, and how often it has been tried."""

    id: int
    kind: str
    account_id: int
    handle: str
    display_name: str
    address: str
    stamp: str
    expires_at: datetime
    attempts: int


def compose(letter: Letter, *, token: str | None, page_url: str, mail_from: str, now: datetime) -> EmailMessage:
    """The letter as it is handed to a mail server. `token` is None for letters without a link.

    Its Message-ID is the same however often it is sent: who gets it twice can tell.
    """
    host = page_url.partition("://")[2].partition(":")[0].partition("/")[0] or "localhost"
    link = f"{page_url}/{PAGES[letter.kind]}#{token}" if token else ""
    words = _WORDS[letter.kind].format(
        handle=letter.handle, place=page_url, link=link, until=letter.expires_at.strftime("%d %B %Y, %H:%M UTC")
    )
    name, sender = parseaddr(mail_from)
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(name, addr_spec=sender)
    message["To"] = Address(addr_spec=letter.address)
    message["Subject"] = f"{_SUBJECTS[letter.kind]} · Chorus"
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<letter.{letter.id}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"Hello {letter.display_name},\n\n{words}", cte="quoted-printable")
    return message
