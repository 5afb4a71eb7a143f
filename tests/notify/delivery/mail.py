"""A mail server on loopback, for tests: it keeps what it is given, and can refuse, stall, or go away."""

import email
import email.policy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class MailServer:
    """aiosmtpd's handler: what arrived, and what is answered to the next recipients."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refusals: list[str] = []
        self.signed_in: list[tuple[bytes, bytes]] = []
        self.url = ""

    def sign_in(self, _server: Any, _session: Any, _envelope: Any, _how: str, given: LoginPassword) -> AuthResult:
        """Takes everybody, and remembers as whom."""
        self.signed_in.append((given.login, given.password))
        return AuthResult(success=True, auth_data=given)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        assert [message["To"]] == envelope.rcpt_tos
        self.letters.append(message)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A server that listens, for the length of the block; in a thread of its own, as aiosmtpd has it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    handler = MailServer()
    controller = Controller(
        handler, hostname="127.0.0.1", port=port, authenticator=handler.sign_in, auth_require_tls=False
    )
    controller.start()
    handler.url = f"smtp://127.0.0.1:{port}"
    try:
        yield handler
    finally:
        controller.stop()


def words(message: EmailMessage) -> str:
    """What a person reads."""
    content: str = message.get_content()
    return content


def token(message: EmailMessage) -> str:
    """What stands behind the # of a letter's one link."""
    (found,) = [word.partition("#")[2] for word in words(message).split() if "#" in word]
    return found
