"""Accounts and sessions: who may come in, who goes out, and what an answer does not tell."""

import time

import httpx
import pytest

from tests.feed.community import PASSWORD, Community, faults, made, problem
from tests.feed.conftest import Serve

ORIGIN = {"Origin": "http://chorus.test"}


async def sign_in(community: Community, handle: str, password: str = PASSWORD, **fields: object) -> httpx.Response:
    return await community.http.post("/v1/sessions", json={"handle": handle, "password": password, **fields})


async def cookie_of(community: Community, handle: str) -> dict[str, str]:
    response = await sign_in(community, handle, cookie=True)
    community.http.cookies.clear()
    name, _, rest = response.headers["set-cookie"].partition("=")
    return {"Cookie": f"{name}={rest.partition(';')[0]}"}


async def test_a_new_account_answers_with_a_token_that_works(community: Community) -> None:
    body = {"handle": "ada", "display_name": "Ada L.", "password": PASSWORD}
    answer = made(await community.http.post("/v1/accounts", json=body))
    assert set(answer) == {"account", "token"}
    response = await community.get("/v1/me", headers={"Authorization": f"Bearer {answer['token']}"})
    assert (
        made(response)
        == {**answer["account"], "role": "member"}
        == {"id": answer["account"]["id"], "handle": "ada", "display_name": "Ada L.", "role": "member"}
    )


async def test_a_taken_handle_is_a_conflict_that_names_the_field(community: Community) -> None:
    await community.member("ada")
    before = await community.row_counts()
    body = {"handle": "ada", "display_name": "Another", "password": PASSWORD}
    refused = problem(await community.http.post("/v1/accounts", json=body), 409, "handle_taken")
    assert [fault["field"] for fault in refused["errors"]] == ["handle"]
    assert await community.row_counts() == before


async def test_every_fault_of_a_sign_up_is_named_at_once(community: Community) -> None:
    body = {"handle": "No Such", "display_name": "  ", "password": "short", "email": "a@b.c"}
    found = faults(await community.http.post("/v1/accounts", json=body))
    assert {field for field, _ in found} == {"handle", "display_name", "password", "email"}


async def test_unknown_handle_and_wrong_password_get_the_same_answer(community: Community) -> None:
    await community.member("ada")
    answers = []
    for handle, password in (("ada", "not the password"), ("nobody_here", "not the password")):
        told = problem(await sign_in(community, handle, password), 401, "wrong_password")
        answers.append({name: value for name, value in told.items() if name != "request_id"})
    assert answers[0] == answers[1]


async def test_an_unknown_handle_costs_a_hash_as_well(community: Community) -> None:
    await community.member("ada")

    async def least(handle: str) -> float:
        taken = []
        for _ in range(4):
            began = time.perf_counter()
            await sign_in(community, handle, "not the password")
            taken.append(time.perf_counter() - began)
        return min(taken)

    known, unknown = await least("ada"), await least("nobody_here")
    assert unknown > known / 3, "an answer without a hash would take a twentieth"


async def test_too_many_wrong_passwords_have_to_wait_even_with_the_right_one(serve: Serve) -> None:
    community = await serve(sign_in_attempts=3)
    await community.member("ada")
    for _ in range(3):
        problem(await sign_in(community, "ada", "not the password"), 401)
    refused = await sign_in(community, "ada")
    problem(refused, 429, "too_many")
    assert int(refused.headers["retry-after"]) > 0


async def test_right_passwords_are_not_counted(serve: Serve) -> None:
    community = await serve(sign_in_attempts=3)
    await community.member("ada")
    for _ in range(5):
        made(await sign_in(community, "ada"))


async def test_sign_ups_from_one_address_are_limited(serve: Serve) -> None:
    community = await serve(signups_per_hour=2)
    await community.member()
    await community.member()
    body = {"handle": "third", "display_name": "Third", "password": PASSWORD}
    problem(await community.http.post("/v1/accounts", json=body), 429, "too_many")


async def test_a_bearer_session_can_be_renewed_and_ended(community: Community) -> None:
    await community.member("ada")
    session = made(await sign_in(community, "ada"))
    assert session["expires_in"] == 3600
    bearer = {"Authorization": f"Bearer {session['token']}"}
    renewed = made(await community.http.post("/v1/sessions/renew", headers=bearer))
    assert renewed["account"] == session["account"]
    assert renewed["expires_in"] == 3600
    before = await community.last_event()
    assert (await community.http.delete("/v1/sessions/current", headers=bearer)).status_code == 204
    for token in (session["token"], renewed["token"]):
        problem(await community.get("/v1/me", headers={"Authorization": f"Bearer {token}"}), 401, "not_signed_in")
    (event,) = await community.events(before)
    account = session["account"]["id"]
    assert (event["type"], event["channels"]) == ("session.revoked", [f"inbox:{account}"])
    assert event["account_id"] == account


async def test_other_sessions_outlive_one_that_ended(community: Community) -> None:
    ada = await community.member("ada")
    other = made(await sign_in(community, "ada"))
    await ada.call("DELETE", "/v1/sessions/current")
    made(await community.get("/v1/me", headers={"Authorization": f"Bearer {other['token']}"}))


async def test_a_browser_gets_a_cookie_and_no_token(community: Community) -> None:
    await community.member("ada")
    response = await sign_in(community, "ada", cookie=True)
    assert set(made(response)) == {"account", "expires_in"}
    cookie = response.headers["set-cookie"]
    installation = await community.owner.fetchval("select id::text from eventlog.installation")
    assert cookie.startswith(f"chorus-{installation[:8]}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_behind_tls_the_cookie_is_secure(serve: Serve) -> None:
    community = await serve(public_url="https://chorus.test")
    await community.member("ada")
    cookie = (await sign_in(community, "ada", cookie=True)).headers["set-cookie"]
    assert cookie.startswith("__Host-chorus-")
    assert "Secure" in cookie


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://elsewhere.test"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_cookie_from_elsewhere_writes_nothing(community: Community, headers: dict[str, str]) -> None:
    await community.member("ada")
    cookie = await cookie_of(community, "ada")
    before = await community.row_counts()
    refused = await community.http.post("/v1/posts", json={"body": "hello"}, headers={**cookie, **headers})
    problem(refused, 403, "bad_origin")
    assert await community.row_counts() == before


@pytest.mark.parametrize("headers", [ORIGIN, {"Sec-Fetch-Site": "same-origin"}])
async def test_a_cookie_from_our_own_page_writes(community: Community, headers: dict[str, str]) -> None:
    await community.member("ada")
    cookie = await cookie_of(community, "ada")
    made(await community.http.post("/v1/posts", json={"body": "hello"}, headers={**cookie, **headers}))


async def test_signing_in_with_a_cookie_from_another_site_is_refused(community: Community) -> None:
    await community.member("ada")
    body = {"handle": "ada", "password": PASSWORD, "cookie": True}
    refused = await community.http.post("/v1/sessions", json=body, headers={"Origin": "http://elsewhere.test"})
    problem(refused, 403, "bad_origin")


async def test_a_cookie_that_has_ended_reads_as_a_guest_and_cannot_write(community: Community) -> None:
    await community.member("ada")
    cookie = {**await cookie_of(community, "ada"), **ORIGIN}
    ended = await community.http.delete("/v1/sessions/current", headers=cookie)
    assert ended.status_code == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]
    made(await community.get("/v1/topics", headers=cookie))
    problem(await community.http.post("/v1/posts", json={"body": "x"}, headers=cookie), 401)


async def test_a_cookie_session_renews_its_cookie(community: Community) -> None:
    await community.member("ada")
    cookie = {**await cookie_of(community, "ada"), **ORIGIN}
    renewed = await community.http.post("/v1/sessions/renew", headers=cookie)
    assert "token" not in made(renewed)
    assert "HttpOnly" in renewed.headers["set-cookie"]


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi", "Bearer é"])
async def test_bad_credentials_are_refused_even_for_reading(community: Community, header: str) -> None:
    refused = await community.get("/v1/topics", headers={"Authorization": header.encode()})
    problem(refused, 401, "not_signed_in")
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_guests_have_no_self_and_no_ticket(community: Community) -> None:
    problem(await community.get("/v1/me"), 401, "not_signed_in")
    problem(await community.http.post("/v1/live/ticket"), 401, "not_signed_in")


async def test_a_ticket_opens_the_socket_and_nothing_here(community: Community) -> None:
    ada = await community.member()
    answer = made(await ada.call("POST", "/v1/live/ticket"))
    assert answer["expires_in"] == 60
    problem(await community.get("/v1/me", headers={"Authorization": f"Bearer {answer['ticket']}"}), 401)


async def test_a_post_through_a_session_that_just_ended_is_refused_and_leaves_nothing(community: Community) -> None:
    ada = await community.member()
    first = await ada.call("POST", "/v1/posts", {"body": "first #here"}, headers={"Idempotency-Key": "k"})
    made(first)
    await ada.call("DELETE", "/v1/sessions/current")
    before = await community.row_counts()
    for body, key in (("first #here", "k"), ("second #there", "new"), ("third", None)):
        headers = {} if key is None else {"Idempotency-Key": key}
        problem(await ada.call("POST", "/v1/posts", {"body": body}, headers=headers), 401, "not_signed_in")
    assert await community.row_counts() == before


async def test_a_session_that_ended_in_another_process_ends_here_at_once(serve: Serve) -> None:
    here = await serve()
    ada = await here.member()
    await ada.post("remembered")
    await here.owner.execute("update feed.session set revoked_at = now()")
    problem(await ada.call("POST", "/v1/posts", {"body": "x"}), 401, "not_signed_in")
    problem(await ada.get("/v1/topics"), 401, "not_signed_in")
