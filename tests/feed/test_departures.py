"""Leaving for good: the person goes at once, their words as they decided, and never anybody else's."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import msgspec
import pytest

from services.feed.accounts import Accounts
from services.feed.departures import HELD, NAME, SETTLED, Departures, handle_of
from services.feed.edits import Edits
from services.feed.passwords import Passwords
from shared import clock
from shared.postgres import Pool, open_pool
from tests.feed.community import PASSWORD, Community, Member, faults, made, problem
from tests.feed.storytelling import people, step, story_in
from tests.feed.test_accounts import sign_in
from tests.feed.test_media import picture
from tests.servers import Database


@pytest.fixture(autouse=True)
def _the_clock_goes_right_again() -> Iterator[None]:
    yield
    clock.move(0)


@pytest.fixture
async def pool(feed_database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(feed_database.url_feed, application_name="departures tests", max_size=2)
    yield pool
    await pool.close()


@pytest.fixture
def departures(pool: Pool) -> Departures:
    """A worker that takes two things a page, so that every departure has many."""
    return Departures(pool, Accounts(pool, Passwords()), page=2)


async def leave(member: Member, words: str, password: str = PASSWORD) -> None:
    response = await member.call("POST", "/v1/me/deletion", {"password": password, "words": words})
    assert response.status_code == 202, response.text


async def finish(departures: Departures, community: Community) -> None:
    """All of it done, by this worker and the feed's own side by side."""
    for _ in range(3):
        while await departures.work_page():
            pass
        clock.move(SETTLED.total_seconds() + 5)
        await community.owner.execute("update feed.departure set due_at = asked_at where true")
    left = await community.owner.fetch("select * from feed.departure")
    assert not left


async def test_the_person_is_gone_at_once(community: Community) -> None:
    ada = await community.member("ada")
    other = made(await sign_in(community, "ada"))["token"]
    await ada.call("PUT", "/v1/me/email", {"address": "ada@post.test", "password": PASSWORD})
    await ada.call("POST", "/v1/posts", {"body": "#calm words"}, headers={"Idempotency-Key": "k"})
    before = await community.last_event()
    refused = await ada.call("POST", "/v1/me/deletion", {"password": "not the password", "words": "keep"})
    assert faults(refused) == {("password", "wrong")}
    await leave(ada, "keep")
    for token in (ada.token, other):
        problem(await community.get("/v1/me", headers={"Authorization": f"Bearer {token}"}), 401)
    problem(await sign_in(community, "ada"), 401, "wrong_password")
    told = [event for event in await community.events(before) if event["type"] == "session.revoked"]
    assert len(told) == 2
    row = await community.owner.fetchrow("select * from feed.account where id = $1", int(ada.id))
    assert row is not None
    assert (row["handle"], row["display_name"], row["password_hash"]) == (handle_of(int(ada.id)), NAME, None)
    kept = await community.owner.fetchval("select to_jsonb(e)::text from feed.email e")
    assert "ada@post.test" not in kept
    assert await community.owner.fetchval("select count(*) from feed.letter") == 0
    assert await community.owner.fetchval("select count(*) from feed.idempotency") == 0


async def test_nobody_can_take_the_handle_for_half_a_year(community: Community, departures: Departures) -> None:
    ada = await community.member("ada")
    await leave(ada, "keep")
    again = {"handle": "ada", "display_name": "Another", "password": PASSWORD}
    problem(await community.http.post("/v1/accounts", json=again), 409, "handle_taken")
    bob = await community.member("bob")
    mentioning = await bob.post("hello @ada")
    assert mentioning["entities"] == []
    held = await community.owner.fetchval("select until - now() from feed.handle_hold")
    assert abs(held - HELD).total_seconds() < 3600
    await community.owner.execute("update feed.handle_hold set until = now()")
    made(await community.http.post("/v1/accounts", json=again))


async def furnish(community: Community) -> tuple[Member, Member, dict[str, Any]]:
    """Ada wrote, answered, reacted and joined; Bob answered one of her posts."""
    ada, bob = await community.member("ada"), await community.member("bob")
    photo = made(await ada.call("POST", "/v1/media", files={"file": ("p.png", picture("PNG"))}))
    answered = await ada.post("my own words #calm @bob", title="A title", media=[photo["id"]], topics=["sleep"])
    alone = [await ada.post(f"alone {n} #calm") for n in range(3)]
    theirs = await bob.post("bob's own #calm")
    bobs = await bob.comment(answered, "bob's answer")
    adas = await ada.comment(theirs, "ada's answer")
    await bob.comment(theirs, "bob answers her", adas)
    gone = await bob.post("soon gone")
    await ada.comment(gone, "words below what will go")
    await bob.call("DELETE", f"/v1/posts/{gone['id']}")
    await ada.call("PUT", f"/v1/posts/{theirs['id']}/reaction", {"kind": "hug"})
    await ada.call("PUT", f"/v1/comments/{bobs['id']}/reaction", {"kind": "heart"})
    await ada.call("PUT", "/v1/topics/calm/membership")
    return ada, bob, {"answered": answered, "alone": alone, "theirs": theirs, "bobs": bobs, "adas": adas}


async def test_words_go_and_nobody_elses_with_them(community: Community, departures: Departures) -> None:
    ada, _bob, here = await furnish(community)
    before = await community.last_event()
    await leave(ada, "remove")
    await finish(departures, community)

    shell = made(await community.get(f"/v1/posts/{here['answered']['id']}"))
    assert (shell["title"], shell["body"], shell["media"], shell["entities"]) == (None, "", [], [])
    assert shell["author"]["display_name"] == NAME
    assert sorted(shell["topics"]) == ["calm", "sleep"]
    (comment,) = made(await community.get(f"/v1/posts/{here['answered']['id']}/comments"))["items"]
    assert comment["body"] == "bob's answer"
    assert comment["counts"]["reaction_total"] == 0
    for post in here["alone"]:
        problem(await community.get(f"/v1/posts/{post['id']}"), 404)
    thread = made(await community.get(f"/v1/posts/{here['theirs']['id']}/comments"))["items"]
    assert [(each["body"], each["deleted"]) for each in thread] == [("", True), ("bob answers her", False)]
    assert made(await community.get(f"/v1/posts/{here['theirs']['id']}"))["counts"]["reaction_total"] == 0
    topic = made(await community.get("/v1/topics/calm"))
    assert (topic["people"], topic["posts"]) == (0, 2)

    left = await community.owner.fetchval(
        "select string_agg(t::text, ' ') "
        "from (select body, title from feed.post union all select body, null from feed.comment) t"
    )
    for words in ("my own words", "alone", "ada's answer", "words below", "A title"):
        assert words not in left
    assert await community.owner.fetchval("select count(*) from feed.media") == 0
    types = {event["type"] for event in await community.events(before)}
    assert {"post.deleted", "post.edited", "comment.deleted", "counts.changed", "topic.changed"} <= types


async def test_words_stay_and_pages_take_the_new_name(community: Community, departures: Departures) -> None:
    ada, _bob, here = await furnish(community)
    before = await community.last_event()
    await leave(ada, "keep")
    await finish(departures, community)
    post = made(await community.get(f"/v1/posts/{here['answered']['id']}"))
    assert post["body"] == "my own words #calm @bob"
    assert post["author"] == {"id": ada.id, "handle": handle_of(int(ada.id)), "display_name": NAME}
    assert post["edited_at"] is None
    assert post["version"] == here["answered"]["version"] + 1
    told = {event["post"]["id"]: event["post"] for event in await community.events(before) if "post" in event}
    assert set(told) == {here["answered"]["id"], *(each["id"] for each in here["alone"])}
    for event_post in told.values():
        fresh = made(await community.get(f"/v1/posts/{event_post['id']}"))
        fresh.pop("as_of", None)
        assert {**event_post, "mine": None} == fresh, "a page that folds and a page that fetches hold the same"
    comments = [event["comment"] for event in await community.events(before) if event["type"] == "comment.edited"]
    assert [(each["body"], each["author"]["display_name"]) for each in comments] == [("ada's answer", NAME)]
    assert made(await community.get(f"/v1/posts/{here['theirs']['id']}"))["counts"]["reaction_total"] == 1
    assert made(await community.get("/v1/topics/calm"))["people"] == 0


@pytest.mark.parametrize("words", ["remove", "keep"])
async def test_what_a_moderator_said_of_stories_goes_with_their_words(
    community: Community, departures: Departures, words: str
) -> None:
    ada, mo, mia = await people(community, "author", "moderator", "moderator")
    theirs, others = await story_in("returned", ada, mo), await story_in("returned", ada, mia)
    submitted = await step(ada, await story_in("returned", ada, mo), "submit")
    published = await step(mia, submitted, "publish")
    await leave(mo, words)
    await finish(departures, community)
    note = "Shorter, please" if words == "keep" else None
    for story in (theirs, published):
        returned = made(await ada.get(f"/v1/stories/{story['id']}"))["steps"][1]
        assert (returned["step"], returned["by"]["id"], returned["note"]) == ("returned", mo.id, note)
        assert returned["at"] == story["steps"][1]["at"]
    kept = made(await ada.get(f"/v1/stories/{others['id']}"))
    assert kept["steps"][1]["note"] == "Shorter, please"


async def test_what_was_on_its_way_when_they_left_goes_too(community: Community, departures: Departures) -> None:
    ada, mo = await people(community, "author", "moderator")
    story = await story_in("returned", ada, mo)
    await leave(mo, "remove")
    while await departures.work_page():
        pass
    # Requests that had begun before commit now.
    await community.owner.execute("update feed.story_step set note = 'late words' where step = 'returned'")
    await community.owner.execute(
        "insert into feed.idempotency (account_id, key, digest, status, body, created_at)"
        " values ($1, 'k', '', 201, 'late words', now())",
        int(mo.id),
    )
    await finish(departures, community)
    assert made(await ada.get(f"/v1/stories/{story['id']}"))["steps"][1]["note"] is None
    assert await community.owner.fetchval("select count(*) from feed.idempotency") == 0


async def test_no_letter_on_its_way_keeps_the_address_of_who_left(community: Community) -> None:
    ada, bob = await community.member("ada"), await community.member("bob")
    for member in (ada, bob):
        await community.owner.execute(
            "insert into feed.email (account_id, address, folded, confirmed_at) values ($1, $2, lower($2), now())",
            int(member.id),
            f"{member.handle.title()}@post.test",
        )
        asked = await community.http.post("/v1/password/recovery", json={"address": f"{member.handle}@post.test"})
        assert asked.is_success, asked.text
    assert await community.owner.fetchval("select count(*) from feed.letter") == 2
    await leave(ada, "keep")
    [left] = await community.owner.fetch("select address from feed.letter")
    assert left["address"] == "bob@post.test"


async def test_a_page_that_fails_is_done_again_and_nothing_twice(
    community: Community, departures: Departures, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, _bob, here = await furnish(community)
    fails = [OSError("storage is away"), None, OSError("again")]
    whole = Edits.withdraw

    async def withdraw(edits: Edits, post_id: int, account_id: int) -> None:
        if fails and (error := fails.pop()) is not None:
            raise error
        await whole(edits, post_id, account_id)

    monkeypatch.setattr(Edits, "withdraw", withdraw)
    await leave(ada, "remove")
    while fails:
        await departures.work_page()
        await community.owner.execute("update feed.departure set due_at = asked_at")
    await finish(departures, community)
    assert made(await community.get(f"/v1/posts/{here['answered']['id']}"))["body"] == ""
    assert made(await community.get("/v1/topics/calm"))["posts"] == 2


async def test_words_that_go_leave_the_log_too_and_only_theirs(
    community: Community, departures: Departures, feed_database: Database
) -> None:
    ada, _bob, _here = await furnish(community)
    await number(feed_database)
    await leave(ada, "remove")
    for _ in range(3):
        while await departures.work_page():
            pass
        await number(feed_database)
        clock.move(SETTLED.total_seconds() + 5)
        await community.owner.execute("update feed.departure set due_at = asked_at")
    rows = await community.owner.fetch("select type, channels, payload from eventlog.event order by id")
    said = [(row["type"], row["payload"].decode()) for row in rows]
    for words in ("my own words", "alone 1", "ada's answer", "words below", '"handle":"ada"'):
        assert not [kind for kind, payload in said if words in payload], words
    assert [kind for kind, payload in said if "bob's answer" in payload]
    assert [kind for kind, _ in said].count("redacted") == [kind for kind, _ in said].count("log.redacted") >= 6
    shells = [msgspec.json.decode(payload) for kind, payload in said if kind == "post.edited"]
    assert [shell["post"]["body"] for shell in shells] == [""], (
        "what takes the words away is told to whoever still has them"
    )


async def number(database: Database) -> None:
    """What the sequencer does."""
    connection = await asyncpg.connect(database.url_direct)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetch(
                "select * from eventlog.number(0::smallint, (select epoch from eventlog.log where log = 0), 1000)"
            )
    finally:
        await connection.close()
