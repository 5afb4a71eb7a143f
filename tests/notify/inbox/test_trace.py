"""`chorus trace` against a real database: for every way of (not) being told there is its own answer."""

import json
import subprocess
import sys

import pytest
from redis.asyncio import Redis

from services.notify.inbox.notifier import Notifier
from services.notify.trace.answer import Trace
from services.notify.trace.tracing import trace
from shared.errors import NotFound
from shared.postgres import Pool, transaction
from shared.wire import Comment, Post
from tests.notify.inbox.community import Community
from tests.notify.inbox.driving import catch_up
from tests.servers import Database


async def traced(pool: Pool, number: str | int, member: str | None = None, redis_url: str = "") -> Trace:
    async with transaction(pool, isolation="repeatable_read", readonly=True) as connection:
        return await trace(connection, redis_url, int(number), member)


def command(database: Database, *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "services.cli", *arguments]
    env = {"CHORUS_DATABASE_URL": database.url_feed, "CHORUS_NOTIFY_DATABASE_URL": database.url_notify}
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False, timeout=60)


async def why(pool: Pool, about: Post | Comment, member: str, kind: str) -> tuple[str, str | None]:
    """What the newest event of that kind did to the member's inbox: (told, kind of line)."""
    found = await traced(pool, about.id, member)
    seen = [event.member for event in found.events if event.type == kind][-1]
    assert seen is not None
    return seen.inbox.told, seen.inbox.kind


async def test_each_way_of_being_told_or_not_has_its_own_answer(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob, _eve = await community.members(["ann", "bob", "eve"])
    post = await community.post(ann)
    comment = await community.comment(bob, post)
    await community.number()
    assert await why(pool, post, "ann", "comment.created") == ("not handled yet", None)
    await catch_up(notifier, community, pool)
    assert await why(pool, post, "ann", "comment.created") == ("told", "comment")
    assert await why(pool, comment, "bob", "comment.created") == ("own action", None)
    assert await why(pool, post, "eve", "comment.created") == ("not concerned", None)
    assert await why(pool, post, "eve", "post.created") == ("tells no inbox", None)

    await community.edit_comment(comment, mentions=[ann])
    await community.react(bob, post, "heart")
    await catch_up(notifier, community, pool)
    assert await why(pool, post, "ann", "comment.edited") == ("told before", "comment")
    assert await why(pool, post, "ann", "mine.changed") == ("told", "reaction")
    await community.react(bob, post, None)
    await community.delete_comment(comment)
    await catch_up(notifier, community, pool)
    assert await why(pool, post, "ann", "mine.changed") == ("gone", None)
    assert await why(pool, post, "ann", "comment.created") == ("gone", None)
    assert await why(pool, post, "ann", "comment.deleted") == ("takes away", None)


async def test_a_job_that_has_not_reached_the_member_is_named_with_its_progress(
    community: Community, pool: Pool
) -> None:
    ann, *crowd = await community.members(["ann", *(f"m{n}" for n in range(4))])
    post = await community.post(ann, mentions=crowd)
    await catch_up(Notifier(pool, page_above=2), community, pool)
    found = await traced(pool, post.id, "@M3")
    [event] = found.events
    assert event.member is not None
    assert event.member.inbox.told == "waits in a job"
    assert "0 of 4 so far" in event.member.inbox.why


async def test_an_event_is_followed_from_commit_to_consumer(
    community: Community, notifier: Notifier, pool: Pool, redis_url: str
) -> None:
    ann = await community.member("ann")
    post = await community.post(ann)
    [event] = (await traced(pool, post.id)).events
    assert (event.position, event.stream, event.waiting) == (None, "not numbered", [])
    await catch_up(notifier, community, pool)
    found = await traced(pool, event.event, redis_url=redis_url)
    [event] = found.events
    assert event.position == f"{found.logs[0].epoch}-1"
    assert (event.stream, event.passed) == ("not yet", ["notifier"])
    async with Redis.from_url(redis_url) as redis:
        await redis.xadd("chorus:log:{0}", {"i": "1"}, id=event.position)
        assert (await traced(pool, event.event, redis_url=redis_url)).events[0].stream == "there"
        await redis.xadd("chorus:log:{0}", {"i": "2"}, id=f"{found.logs[0].epoch}-2")
        await redis.xtrim("chorus:log:{0}", maxlen=1, approximate=False)
        assert (await traced(pool, event.event, redis_url=redis_url)).events[0].stream == "trimmed"
    away = await traced(pool, event.event, redis_url="redis://127.0.0.1:1")
    assert away.events[0].stream == "redis is away"
    assert away.logs[0].redis is not None


async def test_a_parked_event_shows_its_error(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann = await community.member("ann")
    await community.append_raw("poison", "comment.created", b'{"comment":7}')
    await catch_up(notifier, community, pool)
    number = await community.direct.fetchval("select max(id) from eventlog.event")
    [event] = (await traced(pool, number, ann.handle)).events
    assert event.dead_letter is not None
    assert "ValidationError" in event.dead_letter.error
    assert event.member is not None
    assert event.member.inbox.told == "dead letter"


async def test_counts_name_the_newer_ones_that_may_have_gone_in_their_place(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    post = await community.post(await community.member("ann"))
    whose = ['"comment_id":null', '"comment_id":"5"', '"comment_id":null', '"comment_id":null', '"comment_id":"51"']
    for about in whose:
        payload = f'{{"post_id":"{post.id}",{about},"counts":{{}}}}'.encode()
        await community.append_raw(post.id, "counts.changed", payload)
    await community.append_raw(post.id, "counts.changed", f'{{"post_id":"{post.id}",no JSON}}'.encode())
    await catch_up(notifier, community, pool)
    found = (await traced(pool, post.id)).events
    counts = [event for event in found if event.type == "counts.changed"]
    first, of_5, second, third, of_51, garbled = (event.position for event in counts)
    expected = {first: second, of_5: None, second: third, third: None, of_51: None, garbled: None}
    assert {event.position: event.newer for event in counts} == expected
    for event in counts:
        assert (await traced(pool, event.event)).events[0].newer == expected[event.position]
    assert [event.newer for event in found if event.type == "post.created"] == [None]


async def test_what_is_parked_is_replayed_by_a_command_and_what_fails_again_stays(
    community: Community, notifier: Notifier, pool: Pool, database: Database
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.direct.execute("alter table notify.notification add constraint broken check (kind <> 'comment')")
    await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    failed = command(database, "admin", "replay")
    assert (failed.returncode, failed.stdout) == (1, "0 handled, 1 failed again and stay.\n")
    await community.direct.execute("alter table notify.notification drop constraint broken")
    handled = command(database, "admin", "replay", "--json")
    assert (handled.returncode, handled.stdout) == (0, '{"handled":1,"failed":0}\n')
    assert await why(pool, post, "ann", "comment.created") == ("told", "comment")


async def test_what_is_not_there_is_told_apart(community: Community, notifier: Notifier, pool: Pool) -> None:
    ann = await community.member("ann")
    with pytest.raises(NotFound, match="nothing that high is committed"):
        await traced(pool, 1)
    await community.post(ann)
    skipped = await community.direct.fetchval("select nextval('eventlog.event_id')")
    await community.post(ann)
    await catch_up(notifier, community, pool)
    with pytest.raises(NotFound, match="was rolled back"):
        await traced(pool, skipped)
    with pytest.raises(NotFound, match="no post or comment"):
        await traced(pool, 2**61)
    with pytest.raises(NotFound, match="no member with the handle nobody"):
        await traced(pool, skipped + 1, "nobody")


async def test_only_the_owner_may_follow_an_inbox_and_home_is_named(
    community: Community, notifier: Notifier, pool: Pool
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post)
    await catch_up(notifier, community, pool)
    await community.number()
    found = await traced(pool, post.id, "bob")
    told = [event for event in found.events if event.type == "notification.changed"]
    assert [channel.may for event in told if event.member for channel in event.member.channels] == [False]
    assert told[0].channels == [f"inbox:{ann.id}"]


async def test_the_command_answers_in_words_in_json_and_with_its_code(
    community: Community, notifier: Notifier, pool: Pool, database: Database
) -> None:
    ann, bob = await community.members(["ann", "bob"])
    post = await community.post(ann)
    await community.comment(bob, post)
    await catch_up(notifier, community, pool)

    def ask(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return command(database, "trace", *arguments)

    said = ask(post.id, "--member", "ann")
    assert said.returncode == 0, said.stderr
    assert f"Post {post.id} by ann: " in said.stdout
    assert "ann: inbox: told (line " in said.stdout
    answer = json.loads(ask(post.id, "--member", "ann", "--json").stdout)
    assert [event["type"] for event in answer["events"]][:2] == ["post.created", "comment.created"]
    assert answer["events"][1]["member"]["inbox"]["kind"] == "comment"
    assert ask("4000").returncode == 3
    assert ask("robin").returncode == 2
