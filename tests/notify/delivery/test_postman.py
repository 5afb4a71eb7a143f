"""Letters: each whose reason stands is sent at least once, to a real mail server, and no log or row keeps its words."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from services.notify.delivery.carriers import Folder, Postponed, carrier
from services.notify.delivery.carriers import MailServer as Server
from services.notify.delivery.postman import LEASE, Postman
from services.notify.delivery.writing import Letter, compose
from shared import clock, faults
from shared.links import LinkEnded, read_link
from shared.postgres import Pool
from tests.notify.delivery.conftest import SECRET, Letters, postman_of
from tests.notify.delivery.mail import MailServer, token, words


async def test_a_letter_bears_a_link_that_only_its_reader_ever_had(
    letters: Letters, postman: Postman, mail: MailServer
) -> None:
    ada = await letters.member("ada", pending="Ada@post.test")
    letter = await letters.write("confirm", "Ada@post.test", ada, stamp="1")
    assert await postman.deliver()
    (message,) = mail.letters
    assert message["To"] == "Ada@post.test"
    assert message["From"] == "Chorus <hello@chorus.test>"
    assert "http://chorus.test/confirm#" in words(message)
    assert "@ada" in words(message)
    link = read_link(SECRET, "confirm", token(message))
    assert (link.account_id, link.stamp) == (ada, "1")
    with pytest.raises(LinkEnded):
        read_link(SECRET, "recover", token(message))
    became = await letters.became(letter)
    assert became["sent_at"] is not None
    assert not await postman.deliver()


async def test_recovery_goes_to_whose_confirmed_address_it_is_and_to_nobody_else(
    letters: Letters, postman: Postman, mail: MailServer
) -> None:
    ada = await letters.member("ada", confirmed="Ada@Post.test")
    await letters.member("bo", pending="waits@post.test")
    for address in ("nobody@post.test", "waits@post.test", "ada@post.test"):
        await letters.write("recover", address)
    assert await postman.deliver()
    assert not await postman.deliver()
    (message,) = mail.letters
    assert message["To"] == "Ada@Post.test", "as they wrote it"
    assert read_link(SECRET, "recover", token(message)).account_id == ada


async def test_a_letter_whose_reason_is_gone_is_not_sent(letters: Letters, postman: Postman, mail: MailServer) -> None:
    ada = await letters.member("ada", pending="ada@post.test")
    await letters.write("confirm", "ada@post.test", ada, stamp="1")
    await letters.feed.execute("update feed.email set pending = 'other@post.test', version = 2")
    await letters.write("recover", "ada@post.test")
    assert not await postman.deliver()
    clock.move(7200)
    await letters.write("password_changed", "ada@post.test", ada)
    assert await postman.deliver()
    assert [message["Subject"] for message in mail.letters] == ["Your password was changed · Chorus"]


async def test_a_postman_who_dies_between_thanks_and_mark_sends_again_under_the_same_name(
    letters: Letters, postman: Postman, pool: Pool, mail: MailServer
) -> None:
    ada = await letters.member("ada", confirmed="ada@post.test")
    letter = await letters.write("password_changed", "ada@post.test", ada)

    class Death(BaseException):
        pass

    def die(name: str, log: int | None) -> None:
        if name == "postman:sent":
            raise Death

    faults.hold(die)
    with pytest.raises(Death):
        await postman.deliver()
    faults.hold(None)
    assert len(mail.letters) == 1
    assert not await postman_of(pool, mail.url).deliver(), "it is still the dead one's"
    clock.move(LEASE.total_seconds() + 1)
    assert await postman_of(pool, mail.url).deliver()
    first, second = mail.letters
    assert first["Message-ID"] == second["Message-ID"]
    assert (await letters.became(letter))["attempts"] == 2


async def test_two_postmen_never_take_one_letter(letters: Letters, pool: Pool, mail: MailServer) -> None:
    ada = await letters.member("ada", confirmed="ada@post.test")
    for _ in range(6):
        await letters.write("password_changed", "ada@post.test", ada)
    taken = await asyncio.gather(*(postman_of(pool, mail.url).deliver() for _ in range(12)))
    while await postman_of(pool, mail.url).deliver():
        pass
    assert sum(taken) <= 6
    assert len({message["Message-ID"] for message in mail.letters}) == len(mail.letters) == 6


async def test_a_refused_address_is_given_up_and_a_busy_server_is_asked_again(
    letters: Letters, postman: Postman, mail: MailServer
) -> None:
    ada = await letters.member("ada", confirmed="ada@post.test")
    mail.refusals = ["550 no such person ada@post.test", "451 busy, ada@post.test"]
    refused = await letters.write("password_changed", "ada@post.test", ada)
    assert await postman.deliver()
    busy = await letters.write("address_changed", "ada@post.test", ada)
    assert await postman.deliver()
    assert not mail.letters
    became = await letters.became(refused)
    assert became["given_up_at"] is not None
    assert became["error"] == "SMTP 550", "no word of the server's: it names the address"
    became = await letters.became(busy)
    assert became["error"] == "SMTP 451"
    assert became["due_at"] > clock.now()
    assert not await postman.deliver()
    clock.move(60)
    assert await postman.deliver()
    assert [message["Subject"] for message in mail.letters] == ["Your address was changed · Chorus"]


async def test_a_mail_server_that_is_away_costs_nothing_but_time(
    letters: Letters, pool: Pool, mail: MailServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = await letters.member("ada", confirmed="ada@post.test")
    await letters.write("password_changed", "ada@post.test", ada)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert await postman_of(pool, f"smtp://127.0.0.1:{closed.getsockname()[1]}").deliver()
    clock.move(60)
    assert await postman_of(pool, mail.url).deliver()
    assert len(mail.letters) == 1
    said = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # that is the test's server
    printed = capsys.readouterr()
    assert "letter_postponed" in (told := "\n".join([*said, printed.out, printed.err]))
    assert "ada@post.test" not in told


async def test_a_server_elsewhere_has_to_offer_tls(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    message = compose(_letter(), token=None, page_url="http://c.test", mail_from="a@c.test", now=clock.now())
    elsewhere = Server(mail.url.replace("127.0.0.1", "127.0.0.2"))
    assert elsewhere._starttls is True
    assert Server("smtp://mail.example:25?tls=never")._starttls is False
    demanding = Server(mail.url)
    demanding._starttls = True
    with pytest.raises(Postponed):
        await demanding.carry(message, 1)
    await Server(mail.url).carry(message, 1)
    assert len(mail.letters) == 1


async def test_without_a_mail_server_letters_lie_in_a_folder_for_a_week(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    carrying = carrier("", str(folder))
    assert isinstance(carrying, Folder)
    message = compose(_letter(), token="t", page_url="http://c.test", mail_from="C <a@c.test>", now=clock.now())
    await carrying.carry(message, 1)
    await carrying.carry(message, 1)
    assert [path.name for path in folder.iterdir()] == ["1.eml"]
    assert (folder / "1.eml").stat().st_mode & 0o077 == 0
    assert b"http://c.test/confirm#t" in (folder / "1.eml").read_bytes()
    clock.move(8 * 86400)
    await carrying.carry(message, 2)
    assert [path.name for path in folder.iterdir()] == ["2.eml"]
    assert carrier("", "") is None


async def test_what_became_of_old_letters_is_forgotten(letters: Letters, postman: Postman, mail: MailServer) -> None:
    ada = await letters.member("ada", confirmed="ada@post.test")
    await letters.write("password_changed", "ada@post.test", ada)
    assert await postman.deliver()
    await postman.forget()
    assert await letters.notify.fetchval("select count(*) from notify.letter") == 1
    clock.move(timedelta(days=4).total_seconds())
    await postman.forget()
    assert await letters.notify.fetchval("select count(*) from notify.letter") == 0


async def test_notify_sees_no_address_but_those_of_letters(letters: Letters) -> None:
    for table in ("feed.email", "feed.letter", "feed.account"):
        with pytest.raises(Exception, match="permission denied"):
            await letters.notify.fetch(f"select * from {table}")


def test_a_name_can_add_no_line_to_a_letter() -> None:
    letter = _letter()._replace(display_name="Ada\r\nBcc: all@post.test", kind="password_changed")
    message = compose(letter, token=None, page_url="http://c.test", mail_from="C <a@c.test>", now=clock.now())
    assert message["Bcc"] is None
    assert message.get_content_type() == "text/plain"


def _letter() -> Letter:
    until = clock.now() + timedelta(hours=1)
    return Letter(1, "confirm", 7, "ada", "Ada", "ada@post.test", "1", until, 1)
