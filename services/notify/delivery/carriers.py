"""Who takes letters away: a mail server over SMTP, or a folder for whoever only tries Chorus out.

Every step has its time, and all of them together: a mail server that stalls costs half a minute, and nobody's socket.
"""

import asyncio
import os
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from shared import clock

STEP_TIMEOUT = 10.0
WHOLE_TIMEOUT = 30.0
"""Seconds for one answer of the mail server, and for a whole letter."""
LAID_FOR = 7 * 86400.0
"""Seconds that a letter lies in the folder."""


class Refused(Exception):
    """The mail server will never take a letter for this address; the message is its code alone."""


class Postponed(Exception):
    """The letter may go later; the message is what kind of failure it was, without a word of the server's."""


class Carrier(Protocol):
    """Takes a letter, or says that it didn't."""

    async def carry(self, message: EmailMessage, number: int) -> None:
        """The letter is the carrier's now. Raises Refused, Postponed."""


class MailServer:
    """A mail server, over a connection for each letter: they are few."""

    def __init__(self, url: str) -> None:
        """`url`: `smtp://user:password@host:587`, `smtps://…`; see NotifySettings.smtp_url."""
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 587)
        self._user, self._password = (unquote(each) if each else None for each in (parts.username, parts.password))
        never = parse_qs(parts.query).get("tls") == ["never"]
        own = self._host in ("localhost", "127.0.0.1", "::1")
        # None: if the server offers it. Elsewhere a server that doesn't is an error: passwords and links go there.
        self._starttls: bool | None = False if never or self._tls else None if own else True

    async def carry(self, message: EmailMessage, number: int) -> None:
        """See Carrier."""
        try:
            async with asyncio.timeout(WHOLE_TIMEOUT):
                await aiosmtplib.send(
                    message,
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    use_tls=self._tls,
                    start_tls=self._starttls,
                    timeout=STEP_TIMEOUT,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refusal.code for refusal in error.recipients]
            if all(code >= 500 for code in codes):
                raise Refused(f"SMTP {codes[0]}") from None
            raise Postponed(f"SMTP {codes[0]}") from None
        except aiosmtplib.SMTPResponseException as error:
            raise Postponed(f"{type(error).__name__} {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise Postponed(type(error).__name__) from None


class Folder:
    """A folder where letters lie as files, for the account that runs Chorus alone, for a week."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def carry(self, message: EmailMessage, number: int) -> None:
        """See Carrier."""
        try:
            await asyncio.to_thread(self._lay, message, number)
        except OSError as error:
            raise Postponed(type(error).__name__) from None

    def _lay(self, message: EmailMessage, number: int) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in self._path.glob("*.eml"):
            if old.stat().st_mtime < clock.unix() - LAID_FOR:
                old.unlink(missing_ok=True)
        unfinished = self._path / f"{number}.new"
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(bytes(message))
        unfinished.rename(self._path / f"{number}.eml")


def carrier(smtp_url: str, mail_dir: str) -> Carrier | None:
    """Whoever the settings name; None: nobody, and no letter is sent."""
    if smtp_url:
        return MailServer(smtp_url)
    return Folder(Path(mail_dir)) if mail_dir else None
