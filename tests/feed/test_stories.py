"""Stories: who may do what with one in which state, what others see of it, and that the counts are exact."""

import asyncio
import json

from tests.feed.community import PASSWORD, Community, faults, made, problem, story_of
from tests.feed.storytelling import ask, people, photo_of, step, story_in

SECRET_WORDS = "a lamp that nobody lit"


async def test_a_story_goes_from_draft_over_review_to_a_post_with_its_cover_and_counts(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    cover = await photo_of(ada)
    story = await story_of(ada, title="Lamps", body="It was *late*. #Lamps", topics=["Window_Box"], cover=cover)
    assert (story["state"], story["post_id"], story["version"], story["steps"]) == ("draft", None, 1, [])
    assert story["cover"]["id"] == cover
    assert '<p>It was <em>late</em>. <a class="tag" href="/topics/lamps"' in story["html"]
    changed = made(
        await ada.call("PATCH", f"/v1/stories/{story['id']}", {"version": 1, "body": "It was **late**. #Lamps"})
    )
    assert changed["version"] == 2
    submitted = await step(ada, changed, "submit")
    assert [line["id"] for line in made(await mo.get("/v1/stories?list=review"))["items"]] == [story["id"]]
    after = await community.last_event()
    published = await step(mo, submitted, "publish")
    assert (published["state"], published["title"], published["cover"]["id"]) == ("published", "Lamps", cover)
    assert [(done["step"], done["by"]["id"]) for done in published["steps"]] == [
        ("submitted", ada.id),
        ("published", mo.id),
    ]
    post = made(await community.get(f"/v1/posts/{published['post_id']}"))
    assert (post["kind"], post["title"], post["body"]) == ("story", "Lamps", "It was **late**. #Lamps")
    assert post["topics"] == ["windowbox", "lamps"]
    assert post["author"] == ada.account
    assert [media["id"] for media in post["media"]] == [cover]
    assert "<strong>late</strong>" in made(await community.get(f"/v1/posts/{post['id']}/html"))["html"]
    events = await community.events(after)
    assert [event["type"] for event in events] == ["topic.changed", "topic.changed", "post.created", "story.changed"]
    assert events[2]["channels"] == [f"post:{post['id']}", "topic:windowbox", "topic:lamps", f"member:{ada.id}"]
    assert events[2]["post"] == {name: value for name, value in post.items() if name != "mine"}
    assert events[3]["channels"] == [f"inbox:{ada.id}"]
    for slug in ("lamps", "windowbox"):
        header = made(await community.get(f"/v1/topics/{slug}"))
        assert (header["stories"], header["posts"]) == (1, 0)
        assert [each["id"] for each in made(await community.get(f"/v1/topics/{slug}/posts?kind=story"))["items"]] == [
            post["id"]
        ]
    assert made(await ada.get(f"/v1/stories/{post['id']}"))["id"] == story["id"]
    assert made(await mo.get("/v1/stories?list=review"))["items"] == []
    assert (await ada.call("DELETE", f"/v1/posts/{post['id']}")).status_code == 204
    assert made(await community.get("/v1/topics/lamps"))["stories"] == 0
    problem(await ada.get(f"/v1/stories/{story['id']}"), 404)
    assert made(await ada.get("/v1/stories"))["items"] == []


async def test_a_story_comes_back_with_a_note_is_changed_and_published(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    story = await step(ada, await story_of(ada, title="Lamps", body="Long words"), "submit")
    returned = await step(mo, story, "return", note="Shorter, please.\nAnd name the street.")
    assert (returned["state"], returned["steps"][-1]["note"]) == ("returned", "Shorter, please.\nAnd name the street.")
    changed = made(
        await ada.call("PATCH", f"/v1/stories/{story['id']}", {"version": returned["version"], "body": "Words"})
    )
    assert changed["state"] == "returned"
    published = await step(mo, await step(ada, changed, "submit"), "publish")
    assert [done["step"] for done in published["steps"]] == ["submitted", "returned", "submitted", "published"]


async def test_only_authors_begin_stories_and_only_moderators_publish_at_once(community: Community) -> None:
    member, author, mo = await people(community, "member", "author", "moderator")
    new = {"kind": "story", "title": "Lamps", "body": "Once #lamps"}
    before = await community.row_counts()
    for path, body in (("/v1/stories", {"title": "Lamps"}), ("/v1/stories/preview", {"body": "x"}), ("/v1/posts", new)):
        assert "'author'" in problem(await member.call("POST", path, body), 403, "role_needed")["detail"]
    problem(await author.call("POST", "/v1/posts", new), 403, "review_needed")
    problem(await author.get("/v1/stories?list=review"), 403, "role_needed")
    assert await community.row_counts() == before
    post = made(await mo.call("POST", "/v1/posts", new))
    assert (post["kind"], post["topics"]) == ("story", ["lamps"])
    assert made(await community.get("/v1/topics/lamps"))["stories"] == 1


async def test_a_role_that_was_taken_ends_at_the_next_request(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    story = await step(ada, await story_of(ada, title="Lamps", body="Words"), "submit")
    await community.give(mo, "member")
    problem(await ask(community, mo, "publish", story), 403, "role_needed")
    problem(await mo.get(f"/v1/stories/{story['id']}"), 404)


async def test_nothing_that_is_not_published_is_seen_by_anybody_else(community: Community) -> None:
    ada, mo, bo = await people(community, "author", "moderator", "author")
    cover = await photo_of(ada, alt=SECRET_WORDS)
    secret = {"title": SECRET_WORDS, "body": f"{SECRET_WORDS} #unlit @{bo.handle}", "topics": ["neverlit"]}
    story = await story_of(ada, cover=cover, content_warning=SECRET_WORDS, **secret)
    story = await step(ada, story, "submit")
    story = await step(mo, story, "return", note=f"Not about {SECRET_WORDS}")
    for event in await community.events():
        assert SECRET_WORDS not in json.dumps(event)
        assert event["type"] == "story.changed"
        assert event["channels"] == [f"inbox:{ada.id}"]
    for slug in ("unlit", "neverlit"):
        problem(await community.get(f"/v1/topics/{slug}"), 404)
    problem(await community.get(f"/v1/posts/{story['id']}"), 404)
    for reader in (bo, mo):
        for path in ("/v1/topics", "/v1/stories", "/v1/stories?list=review", f"/v1/posts/{story['id']}"):
            assert SECRET_WORDS not in (await reader.get(path)).text
    problem(await bo.get(f"/v1/stories/{story['id']}"), 404)
    assert await community.owner.fetchval("select count(*) from feed.post") == 0
    url = f"/media/{cover}/small"
    assert (await community.get(url)).status_code == (await bo.get(url)).status_code == 404
    for reader in (ada, mo):
        shown = await reader.get(url)
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "private, no-store")
    assert (await ada.call("DELETE", f"/v1/stories/{story['id']}")).status_code == 204
    assert (await ada.get(url)).status_code == 404
    assert await community.owner.fetchval("select count(*) from feed.story_step") == 0


async def test_a_draft_lacks_what_it_likes_and_a_story_in_review_lacks_nothing(community: Community) -> None:
    [ada] = await people(community, "author")
    cover = await photo_of(ada, alt=None)
    story = await story_of(ada, cover=cover)
    answer = await ask(community, ada, "submit", story)
    assert faults(answer) == {("title", "required"), ("body", "too_short"), ("cover", "alt_required")}
    blank = made(await ada.call("PATCH", f"/v1/stories/{story['id']}", {"version": 1, "title": "Lamps", "body": " \n"}))
    assert ("body", "blank") in faults(await ask(community, ada, "submit", blank))


async def test_a_cover_is_ones_own_and_of_one_story_alone(community: Community) -> None:
    ada, bo = await people(community, "author", "author")
    cover = await photo_of(ada)
    await story_of(ada, cover=cover)
    taken = await ada.call("POST", "/v1/stories", {"cover": cover})
    assert faults(taken) == {("cover", "taken")}
    assert faults(await bo.call("POST", "/v1/stories", {"cover": cover})) == {("cover", "not_found")}
    assert faults(await ada.call("POST", "/v1/posts", {"body": "x", "media": [cover]})) == {("media.0", "taken")}


async def test_a_cover_that_is_replaced_goes_and_one_that_is_kept_outlives_the_day(community: Community) -> None:
    [ada] = await people(community, "author")
    first, second = await photo_of(ada), await photo_of(ada)
    story = await story_of(ada, cover=first)
    path = f"/v1/stories/{story['id']}"
    made(await ada.call("PATCH", path, {"version": 1, "cover": second}))
    assert await community.owner.fetchval("select array_agg(id::text) from feed.media") == [second]
    await community.owner.execute("update feed.media set created_at = created_at - interval '3 days'")
    await community.owner.execute("set role chorus_feed")
    from services.feed.queries import QUERIES
    from services.feed.rows import now

    await QUERIES.remove_unattached_media(community.owner, before=now(), now=now())
    assert await community.owner.fetchval("select array_agg(id::text) from feed.media") == [second]
    made(await ada.call("PATCH", path, {"version": 2, "cover": None}))
    assert await community.owner.fetchval("select count(*) from feed.media") == 0


async def test_a_stale_version_changes_nothing(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    story = await story_of(ada, title="Lamps", body="Words")
    newer = made(await ada.call("PATCH", f"/v1/stories/{story['id']}", {"version": 1, "body": "New"}))
    for call in ("change", "submit"):
        problem(await ask(community, ada, call, story), 409, "stale_version")
    submitted = await step(ada, newer, "submit")
    problem(await ask(community, mo, "publish", newer), 409, "stale_version")
    same = made(await mo.get(f"/v1/stories/{story['id']}"))
    assert (same["version"], same["body"]) == (submitted["version"], "New")


async def test_of_two_moderators_one_publishes_and_withdrawing_beside_it_changes_no_count(community: Community) -> None:
    ada, mo, mia = await people(community, "author", "moderator", "moderator")
    story = await step(ada, await story_of(ada, title="Lamps", body="Once #lamps"), "submit")
    answers = await asyncio.gather(
        *(ask(community, who, call, story) for who, call in ((mo, "publish"), (mia, "publish"), (ada, "withdraw")))
    )
    # Withdrawn it is a draft again, which no moderator sees.
    assert sorted(answer.status_code for answer in answers) in ([200, 409, 409], [200, 404, 404])
    published = answers[2].status_code == 409
    assert await community.owner.fetchval("select count(*) from feed.post") == published
    assert (await community.owner.fetchval("select sum(stories) from feed.topic_count") or 0) == published


async def test_a_published_story_is_changed_as_a_post_and_that_is_recorded(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    published = await story_in("published", ada, mo)
    path = f"/v1/posts/{published['post_id']}"
    long = "So *long*. #lamps " + "x" * 30_000
    problem(await mo.call("PATCH", path, {"version": 1, "body": "Mine"}), 403)
    edited = made(await ada.call("PATCH", path, {"version": 1, "body": long}))
    assert (edited["version"], edited["body"]) == (2, long)
    assert "<em>long</em>" in made(await community.get(f"{path}/html"))["html"]
    story = made(await mo.get(f"/v1/stories/{published['id']}"))
    assert (story["body"], story["length"]) == (long, len(long))
    assert [(done["step"], done["by"]["id"], done["version"]) for done in story["steps"]][-1] == ("edited", ada.id, 2)
    assert faults(await ada.call("PATCH", path, {"version": 2, "title": None})) == {("title", "required")}


async def test_a_story_holds_forty_thousand_characters_and_a_post_five_thousand(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    longest = "\U0001f9f6" * 40_000
    raw = json.dumps({"title": "Wool", "body": longest})  # each character as two escapes of six bytes
    answer = await ada.call("POST", "/v1/stories", content=raw.encode(), headers={"Content-Type": "application/json"})
    published = await step(mo, await step(ada, made(answer), "submit"), "publish")
    assert made(await community.get(f"/v1/posts/{published['post_id']}"))["body"] == longest
    assert faults(await ada.call("POST", "/v1/stories", {"body": "x" * 40_001})) == {("body", "too_long")}
    assert faults(await mo.call("POST", "/v1/posts", {"body": "x" * 5_001})) == {("body", "too_long")}
    post = await mo.post("short")
    change = {"version": 1, "body": "x" * 5_001}
    assert faults(await mo.call("PATCH", f"/v1/posts/{post['id']}", change)) == {("body", "too_long")}


async def test_tags_and_mentions_in_code_are_none(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    body = f"#calm @{mo.handle} `#code @{mo.handle}`\n\n    #indented\n\n```\n#fenced\n```\n"
    story = await step(ada, await story_of(ada, title="Code", body=body), "submit")
    published = await step(mo, story, "publish")
    post = made(await community.get(f"/v1/posts/{published['post_id']}"))
    assert post["topics"] == ["calm"]
    assert [(each["type"], each["start"]) for each in post["entities"]] == [("tag", 0), ("mention", 6)]


async def test_a_draft_is_made_once_under_its_key(community: Community) -> None:
    [ada] = await people(community, "author")
    headers = {"Idempotency-Key": "draft-1"}
    first = made(await ada.call("POST", "/v1/stories", {"title": "Lamps"}, headers=headers))
    again = await ada.call("POST", "/v1/stories", {"title": "Lamps"}, headers=headers)
    assert (made(again)["id"], again.headers["idempotency-replayed"]) == (first["id"], "true")
    assert len(made(await ada.get("/v1/stories"))["items"]) == 1


async def test_lists_go_page_by_page(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    stories = [await step(ada, await story_of(ada, title=str(n), body="Words"), "submit") for n in range(3)]
    for path, due in (("/v1/stories?limit=2", ["2", "1", "0"]), ("/v1/stories?limit=2&list=review", ["0", "1", "2"])):
        first = made(await (mo if "review" in path else ada).get(path))
        rest = made(await (mo if "review" in path else ada).get(f"{path}&before={first['next']}"))
        assert [line["title"] for line in first["items"] + rest["items"]] == due
        assert rest["next"] is None
        assert "body" not in first["items"][0]
    assert len(stories) == 3


async def test_whoever_leaves_leaves_no_draft_behind_and_no_role(community: Community) -> None:
    ada, mo = await people(community, "author", "moderator")
    await story_of(ada, title="Lamps", cover=await photo_of(ada))
    waits, published = await story_in("review", ada, mo), await story_in("published", ada, mo)
    left = await ada.call("POST", "/v1/me/deletion", {"password": PASSWORD, "words": "keep"})
    assert left.is_success, left.text
    problem(await mo.get(f"/v1/stories/{waits['id']}"), 404)
    assert made(await mo.get(f"/v1/stories/{published['id']}"))["body"] == "Words. #lamps"
    assert await community.owner.fetchval("select count(*) from feed.media") == 0
    assert await community.owner.fetchval("select role from feed.account where id = $1", int(ada.id)) == "member"


async def test_a_story_of_more_tags_than_an_event_holds_is_refused(community: Community) -> None:
    """One letter, whose slug has eighteen: the words are within their bound."""
    [mo] = await people(community, "moderator")
    story = {"kind": "story", "title": "Tags", "body": "#\ufdfa " * 13_000}
    [fault] = problem(await mo.call("POST", "/v1/posts", story), 422, "invalid")["errors"]
    assert (fault["field"], fault["code"]) == ("body", "too_long")
    assert await community.owner.fetchval("select count(*) from feed.post") == 0
