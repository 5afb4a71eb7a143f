"""Where one is signed in: listed for its owner alone, and ended one by one or all at once."""

from collections.abc import Iterator

import pytest

from services.feed.devices import device
from shared import clock
from tests.feed.community import PASSWORD, Community, made, problem

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def _the_clock_goes_right_again() -> Iterator[None]:
    yield
    clock.move(0)


async def sign_in_with(community: Community, agent: str, *, cookie: bool = False) -> dict[str, str]:
    body = {"handle": "ada", "password": PASSWORD, "cookie": cookie}
    response = await community.http.post("/v1/sessions", json=body, headers={"User-Agent": agent})
    session = made(response)
    community.http.cookies.clear()
    if cookie:
        name, _, rest = response.headers["set-cookie"].partition("=")
        return {"Cookie": f"{name}={rest.partition(';')[0]}", "Origin": "http://chorus.test"}
    return {"Authorization": f"Bearer {session['token']}"}


async def test_the_list_says_where_and_since_when_and_which_one_asks(community: Community) -> None:
    ada = await community.member("ada")
    headers = await sign_in_with(community, FIREFOX, cookie=True)
    listed = made(await community.get("/v1/me/sessions", headers=headers))
    assert [(item["device"], item["kind"], item["current"]) for item in listed["items"]] == [
        ("Firefox on Linux", "cookie", True),
        ("python-httpx", "token", False),
    ]
    assert set(listed["items"][0]) == {"id", "kind", "device", "created_at", "seen_at", "expires_at", "current"}
    bo = await community.member("bob")
    assert len(made(await bo.get("/v1/me/sessions"))["items"]) == 1
    first = made(await ada.get("/v1/me/sessions", params={"limit": 1}))
    second = made(await ada.get("/v1/me/sessions", params={"limit": 1, "before": first["next"]}))
    assert [page["items"][0]["device"] for page in (first, second)] == ["Firefox on Linux", "python-httpx"]
    assert second["next"] is None


async def test_last_seen_is_true_to_the_hour_and_written_as_seldom(community: Community) -> None:
    ada = await community.member("ada")

    async def seen() -> object:
        made(await ada.get("/v1/me"))
        return await community.owner.fetchval("select seen_at from feed.session")

    assert await seen() is None
    clock.move(50 * 60)
    assert await seen() is None
    clock.move(61 * 60 - 2500)  # a bearer token lives for an hour: a look within it, of a session made earlier
    await community.owner.execute("update feed.session set created_at = created_at - interval '2 hours'")
    first = await seen()
    assert first is not None
    clock.move(55 * 60)
    assert await seen() == first


async def test_a_session_that_was_ended_is_gone_at_once_and_only_its_owner_ends_it(community: Community) -> None:
    ada, bo = await community.member("ada"), await community.member("bob")
    other = await sign_in_with(community, FIREFOX)
    session = next(item for item in made(await ada.get("/v1/me/sessions"))["items"] if not item["current"])
    path = f"/v1/me/sessions/{session['id']}"
    problem(await bo.call("DELETE", path), 404, "not_found")
    made(await community.get("/v1/me", headers=other))
    before = await community.last_event()
    assert (await ada.call("DELETE", path)).status_code == 204
    problem(await community.get("/v1/me", headers=other), 401)
    problem(await ada.call("DELETE", path), 404, "not_found")
    (event,) = await community.events(before)
    assert (event["type"], event["session_id"]) == ("session.revoked", session["id"])
    assert event["channels"] == [f"inbox:{ada.id}"]


async def test_all_others_end_together_and_each_is_told(community: Community) -> None:
    ada = await community.member("ada")
    others = [await sign_in_with(community, FIREFOX) for _ in range(4)]
    before = await community.last_event()
    assert (await ada.call("DELETE", "/v1/me/sessions")).status_code == 204
    for headers in others:
        problem(await community.get("/v1/me", headers=headers), 401)
    items = made(await ada.get("/v1/me/sessions"))["items"]
    assert [item["current"] for item in items] == [True]
    told = await community.events(before)
    assert len({event["session_id"] for event in told}) == len(told) == 4
    assert (await ada.call("DELETE", "/v1/me/sessions")).status_code == 204


async def test_ending_ones_own_session_by_its_id_takes_the_cookie_away(community: Community) -> None:
    await community.member("ada")
    headers = await sign_in_with(community, FIREFOX, cookie=True)
    (current,) = [
        item["id"] for item in made(await community.get("/v1/me/sessions", headers=headers))["items"] if item["current"]
    ]
    response = await community.http.delete(f"/v1/me/sessions/{current}", headers=headers)
    assert response.status_code == 204
    assert "Max-Age=0" in response.headers["set-cookie"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605 Version/18.5 Safari/604",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 15; Pixel) AppleWebKit/537 Chrome/140.0 Mobile Safari/537", "Chrome on Android"),
        ("curl/8.9.1", "curl"),
        ("", None),
        (None, None),
        ("Mozilla/5.0", None),
        ("\x1b]0;evil\x07" * 3, None),
    ],
)
def test_a_device_is_named_as_people_would(agent: str | None, name: str | None) -> None:
    assert device(agent) == name
