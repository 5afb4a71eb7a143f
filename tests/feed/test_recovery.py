"""Passwords and addresses: changed by who knows the password, recovered by who reads the mail, told to nobody else."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.feed.guessable import guessable
from services.feed.sessions import Sessions
from shared import clock
from shared.links import LinkKind, sign_link
from shared.wire import Author
from tests.feed.community import PASSWORD, Community, Member, faults, made, problem
from tests.feed.conftest import SECRET, Serve
from tests.feed.test_accounts import cookie_of, sign_in
from tests.servers import Database

NEW = "a new and longer sentence"


def link(kind: LinkKind, member: Member, stamp: str, *, minutes: float = 30) -> str:
    """What the postman would sign."""
    until = clock.now() + timedelta(minutes=minutes)
    return sign_link(SECRET, kind, account_id=int(member.id), stamp=stamp, expires_at=until)


async def give(member: Member, address: str | None, password: str = PASSWORD) -> dict[str, Any]:
    return made(await member.call("PUT", "/v1/me/email", {"address": address, "password": password}))


async def confirmed(community: Community, handle: str, address: str) -> Member:
    """A member with a confirmed address, whose stamp is then 1.2."""
    member = await community.member(handle)
    await give(member, address)
    made(await community.http.post("/v1/email/confirm", json={"token": link("confirm", member, "1")}))
    return member


async def letters(community: Community) -> list[dict[str, Any]]:
    rows = await community.owner.fetch("select kind, account_id, address, stamp from feed.letter order by id")
    return [dict(row) for row in rows]


async def as_notify_sees_them(community: Community) -> list[tuple[str, str, str]]:
    rows = await community.owner.fetch("select kind, handle, address from feed_v1.letter order by id")
    return [tuple(row) for row in rows]


async def test_an_address_counts_once_its_link_was_followed_and_only_once(community: Community) -> None:
    ada = await community.member("ada")
    assert made(await ada.get("/v1/me/email"))["address"] is None
    email = await give(ada, "Ada@Post.test")
    assert (email["address"], email["pending"]) == (None, "Ada@Post.test")
    assert await as_notify_sees_them(community) == [("confirm", "ada", "Ada@Post.test")]
    confirmation = {"token": link("confirm", ada, "1")}
    told = made(await community.http.post("/v1/email/confirm", json=confirmation))
    assert told == {"address": "Ada@Post.test", "handle": "ada"}
    email = made(await ada.get("/v1/me/email"))
    assert (email["address"], email["pending"]) == ("Ada@Post.test", None)
    problem(await community.http.post("/v1/email/confirm", json=confirmation), 410, "link_ended")


async def test_the_old_address_stays_until_the_new_one_is_confirmed_and_hears_of_it(community: Community) -> None:
    ada = await confirmed(community, "ada", "old@post.test")
    email = await give(ada, "new@post.test")
    assert (email["address"], email["pending"]) == ("old@post.test", "new@post.test")
    made(await community.http.post("/v1/email/confirm", json={"token": link("confirm", ada, "3")}))
    assert made(await ada.get("/v1/me/email"))["address"] == "new@post.test"
    assert ("address_changed", "ada", "old@post.test") in await as_notify_sees_them(community)
    assert (await give(ada, None))["address"] is None
    assert ("address_changed", "ada", "new@post.test") in await as_notify_sees_them(community)


async def test_a_later_letter_ends_the_link_of_an_earlier_one(community: Community) -> None:
    ada = await community.member("ada")
    await give(ada, "one@post.test")
    await give(ada, "two@post.test")
    first = await community.http.post("/v1/email/confirm", json={"token": link("confirm", ada, "1")})
    problem(first, 410, "link_ended")
    assert await as_notify_sees_them(community) == [("confirm", "ada", "two@post.test")]


async def test_an_address_belongs_to_one_account_and_only_its_reader_learns_whose_it_was(community: Community) -> None:
    await confirmed(community, "ada", "ours@post.test")
    bo, carol = await community.member("bob"), await community.member("carol")
    taken, free = await give(bo, "OURS@post.test"), await give(carol, "free@post.test")
    assert {name: type(value) for name, value in taken.items()} == {name: type(value) for name, value in free.items()}
    refused = await community.http.post("/v1/email/confirm", json={"token": link("confirm", bo, "1")})
    problem(refused, 409, "address_taken")


async def test_an_address_is_set_by_who_knows_the_password_alone(serve: Serve) -> None:
    community = await serve(sign_in_attempts=3)
    ada = await community.member("ada")
    for _ in range(3):
        response = await ada.call("PUT", "/v1/me/email", {"address": "x@evil.test", "password": "not the password"})
        assert faults(response) == {("password", "wrong")}
    problem(await ada.call("PUT", "/v1/me/email", {"address": "x@evil.test", "password": PASSWORD}), 429, "too_many")
    assert await letters(community) == []


@pytest.mark.parametrize(
    "address", ["ada", "ada@", "@post.test", "ada@post", "a da@post.test", "ada@post.test\nBcc: b@c.de"]
)
async def test_what_is_no_address_is_named(community: Community, address: str) -> None:
    ada = await community.member("ada")
    response = await ada.call("PUT", "/v1/me/email", {"address": address, "password": PASSWORD})
    assert "address" in {field for field, _ in faults(response)}


async def test_recovery_answers_and_does_the_same_for_every_address(community: Community) -> None:
    await confirmed(community, "ada", "ada@post.test")
    before = await community.row_counts()
    answers = []
    for address in ("ada@post.test", "nobody@post.test"):
        response = await community.http.post("/v1/password/recovery", json={"address": address})
        answers.append((response.status_code, response.content, sorted(response.headers)))
        after = await community.row_counts()
        assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {"feed.letter": 1}
        before = after
    assert answers[0] == answers[1] == (202, b"", answers[0][2])
    assert [each for each in await as_notify_sees_them(community) if each[0] == "recover"] == [
        ("recover", "ada", "ada@post.test")
    ]


async def test_who_guesses_with_somebody_s_address_keeps_nobody_from_recovering(serve: Serve) -> None:
    community = await serve(letters_per_hour=1)
    bo = await community.member("bobby")
    for _ in range(3):
        guessed = await bo.call("PUT", "/v1/me/email", {"address": "ada@post.test", "password": "not the password"})
        assert faults(guessed) == {("password", "wrong")}
    asked = await community.http.post("/v1/password/recovery", json={"address": "ada@post.test"})
    assert asked.status_code == 202


async def test_a_right_password_is_no_guess_whatever_else_is_refused(serve: Serve) -> None:
    community = await serve(sign_in_attempts=2)
    ada = await community.member("ada")
    for _ in range(4):
        refused = await ada.call("POST", "/v1/me/password", {"current": PASSWORD, "password": "password123"})
        assert faults(refused) == {("password", "common_password")}
    assert (await sign_in(community, "ada")).status_code == 201


async def test_recovery_is_slowed_down_for_known_and_unknown_addresses_alike(serve: Serve) -> None:
    community = await serve(letters_per_hour=2)
    for address in ("Ada@post.test", "ada@post.test"):
        assert (await community.http.post("/v1/password/recovery", json={"address": address})).status_code == 202
    problem(await community.http.post("/v1/password/recovery", json={"address": "ada@POST.test"}), 429, "too_many")


async def test_a_reset_ends_every_session_works_once_and_is_told(community: Community) -> None:
    ada = await confirmed(community, "ada", "ada@post.test")
    before = await community.last_event()
    token = link("recover", ada, "1.2")
    weak = await community.http.post("/v1/password/reset", json={"token": token, "password": "password1"})
    assert faults(weak) == {("password", "common_password")}
    reset = {"token": token, "password": NEW}
    assert (await community.http.post("/v1/password/reset", json=reset)).status_code == 204
    problem(await ada.get("/v1/me"), 401, "not_signed_in")
    problem(await sign_in(community, "ada"), 401, "wrong_password")
    made(await sign_in(community, "ada", NEW))
    problem(await community.http.post("/v1/password/reset", json=reset), 410, "link_ended")
    assert [event["type"] for event in await community.events(before)] == ["session.revoked"]
    assert ("password_changed", "ada", "ada@post.test") in await as_notify_sees_them(community)


async def test_a_link_is_worth_nothing_past_its_time_for_another_use_or_after_the_address_left(
    community: Community,
) -> None:
    ada = await confirmed(community, "ada", "ada@post.test")
    tokens = [
        link("recover", ada, "1.2", minutes=-1),
        link("confirm", ada, "1.2"),
        link("recover", ada, "1.1"),
        ada.token,
        "x",
    ]
    await give(ada, None)
    tokens.append(link("recover", ada, "1.2"))
    for token in tokens:
        response = await community.http.post("/v1/password/reset", json={"token": token, "password": NEW})
        problem(response, 410, "link_ended")
    bearer = {"Authorization": f"Bearer {link('recover', ada, '1.3')}"}
    problem(await community.get("/v1/me", headers=bearer), 401, "not_signed_in")


async def test_changing_the_password_ends_all_other_sessions_and_keeps_this_one(community: Community) -> None:
    ada = await community.member("ada")
    others = [made(await sign_in(community, "ada"))["token"] for _ in range(3)]
    before = await community.last_event()
    wrong = await ada.call("POST", "/v1/me/password", {"current": "not the password", "password": NEW})
    assert faults(wrong) == {("current", "wrong")}
    changed = await ada.call("POST", "/v1/me/password", {"current": PASSWORD, "password": NEW})
    assert changed.status_code == 204
    made(await ada.get("/v1/me"))
    for token in others:
        problem(await community.get("/v1/me", headers={"Authorization": f"Bearer {token}"}), 401)
    told = await community.events(before)
    assert [event["type"] for event in told] == ["session.revoked"] * 3
    assert {event["account_id"] for event in told} == {ada.id}
    made(await sign_in(community, "ada", NEW))


async def test_a_session_never_opens_for_a_password_that_was_just_changed(
    community: Community, feed_database: Database
) -> None:
    ada = await community.member("ada")
    author = Author(id=ada.id, handle="ada", display_name="Ada")
    async with asyncpg.create_pool(feed_database.url_feed, min_size=1, max_size=1) as pool:
        changing = community.owner.transaction()
        await changing.start()
        await community.owner.execute("update feed.account set password_version = 2")
        opening = asyncio.create_task(Sessions(pool, SECRET).open(author, password_version=1, cookie=False))
        while not await community.owner.fetchval("select count(*) from pg_locks where not granted"):
            assert not opening.done(), "whoever signs in waits for who changes the password"
            await asyncio.sleep(0.01)
        await changing.commit()
        assert await opening is None
    assert await community.owner.fetchval("select count(*) from feed.session") == 1


async def test_a_cookie_may_do_none_of_it_from_elsewhere(community: Community) -> None:
    await community.member("ada")
    cookie = {**await cookie_of(community, "ada"), "Origin": "http://evil.test"}
    for method, path, body in (
        ("PUT", "/v1/me/email", {"address": "x@evil.test", "password": PASSWORD}),
        ("POST", "/v1/me/password", {"current": PASSWORD, "password": NEW}),
        ("POST", "/v1/me/deletion", {"password": PASSWORD, "words": "remove"}),
    ):
        problem(await community.http.request(method, path, json=body, headers=cookie), 403, "bad_origin")
    problem(await community.http.request("DELETE", "/v1/me/sessions", headers=cookie), 403, "bad_origin")


async def test_without_mail_it_says_so_and_writes_nothing(serve: Serve) -> None:
    community = await serve(mail_from="")
    ada = await community.member("ada")
    body = {"address": "ada@post.test", "password": PASSWORD}
    problem(await ada.call("PUT", "/v1/me/email", body), 409, "mail_not_set_up")
    asked = await community.http.post("/v1/password/recovery", json={"address": "ada@post.test"})
    problem(asked, 409, "mail_not_set_up")
    assert made(await community.get("/v1/config"))["mail"] is False
    assert await letters(community) == []


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "12345678",
        "Passw0rd",
        "qwertyuiop",
        "aaaaaaaa",
        "abcdefgh",
        "iloveyou",
        "20261123",
        "hunter2hunter2",
    ],
)
async def test_common_and_trivial_passwords_are_refused_and_named(community: Community, password: str) -> None:
    body = {"handle": "ada", "display_name": "Ada", "password": password}
    assert faults(await community.http.post("/v1/accounts", json=body)) == {("password", "common_password")}


async def test_ones_own_handle_name_or_address_is_no_password(community: Community) -> None:
    body = {"handle": "rosalind_franklin", "display_name": "Somebody", "password": "Rosalind_Franklin"}
    assert faults(await community.http.post("/v1/accounts", json=body)) == {("password", "common_password")}
    ada = await confirmed(community, "ada", "lighthouse.keeper@post.test")
    own = {"current": PASSWORD, "password": "lighthouse.keeper@post.test"}
    assert faults(await ada.call("POST", "/v1/me/password", own)) == {("password", "common_password")}


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "a kettle and a lamp",
        "Tr0ub4dor&3",
        "x8Kq-2mPz",
        "pässwörter sind schön",
        "z" * 3 + "9q!" * 60,
    ],
)
def test_nothing_else_is_asked_of_a_password(password: str) -> None:
    assert guessable(password, ["ada", "Ada Lovelace", "ada@post.test"]) == []
