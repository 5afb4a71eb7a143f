"""The Zulip rule: a page fetched before, plus frames, equals a page fetched after; for every kind of event."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from shared.events import KINDS
from tests.contract.documented import frame_problems
from tests.e2e.fold import Json, Page
from tests.e2e.people import Member
from tests.live_client import Cursor, LiveClient
from tests.servers import Database, give_role
from tests.stack import Stack

TOPIC = "window_box"
SLUG = "windowbox"


class Scene:
    """Two members, a post and a comment in one topic; what each case starts from."""

    def __init__(self, reader: Member, other: Member, number: int, post: Json, comment: Json) -> None:
        self.reader, self.other, self.post, self.comment = reader, other, post, comment
        self.tag, self.slug = f"#WindowBox_{number}", f"{SLUG}{number}"


async def _post_created(scene: Scene) -> None:
    await scene.other.post(f"Another one. {scene.tag.lower()}", title="Second")


async def _post_edited(scene: Scene) -> None:
    body = {"body": f"New words. {scene.tag}", "version": scene.post["version"]}
    await scene.other.call("PATCH", f"/v1/posts/{scene.post['id']}", body)


async def _post_moved_away(scene: Scene) -> None:
    body = {"body": "Moved. #Elsewhere", "topics": [], "version": scene.post["version"]}
    await scene.other.call("PATCH", f"/v1/posts/{scene.post['id']}", body)


async def _post_deleted(scene: Scene) -> None:
    await scene.other.call("DELETE", f"/v1/posts/{scene.post['id']}", expect=204)


async def _comment_created(scene: Scene) -> None:
    await scene.other.comment(scene.post, "An answer.", scene.comment)


async def _comment_edited(scene: Scene) -> None:
    body = {"body": "Better words.", "version": scene.comment["version"]}
    await scene.other.call("PATCH", f"/v1/comments/{scene.comment['id']}", body)


async def _comment_deleted(scene: Scene) -> None:
    await scene.other.call("DELETE", f"/v1/comments/{scene.comment['id']}", expect=204)


async def _reacted(scene: Scene) -> None:
    await scene.other.call("PUT", f"/v1/posts/{scene.post['id']}/reaction", {"kind": "heart"})
    await scene.reader.call("PUT", f"/v1/posts/{scene.post['id']}/reaction", {"kind": "hug"})
    await scene.reader.call("PUT", f"/v1/posts/{scene.post['id']}/reaction", {"kind": "joy"})


async def _reaction_withdrawn(scene: Scene) -> None:
    await _reacted(scene)
    await scene.reader.call("DELETE", f"/v1/posts/{scene.post['id']}/reaction", expect=204)


async def _comment_reacted(scene: Scene) -> None:
    await scene.reader.call("PUT", f"/v1/comments/{scene.comment['id']}/reaction", {"kind": "relate"})


async def _joined(scene: Scene) -> None:
    await scene.reader.call("PUT", f"/v1/topics/{scene.slug}/membership")


async def _story_published(scene: Scene) -> None:
    words = {"title": "Ten past four", "body": f"The clock stopped, `#not_here`. {scene.tag}"}
    story = await scene.reader.call("POST", "/v1/stories", words, expect=201)
    for step in ("submit", "publish"):
        body = {"version": story["version"]}
        story = await scene.reader.call("POST", f"/v1/stories/{story['id']}/{step}", body)


CASES: dict[str, tuple[Callable[[Scene], Awaitable[None]], set[str]]] = {
    "post.created": (_post_created, {"post.created", "topic.changed"}),
    "post.edited": (_post_edited, {"post.edited"}),
    "post.edited, moved away": (_post_moved_away, {"post.edited", "topic.changed"}),
    "post.deleted": (_post_deleted, {"post.deleted", "topic.changed"}),
    "comment.created": (_comment_created, {"comment.created", "counts.changed"}),
    "comment.edited": (_comment_edited, {"comment.edited"}),
    "comment.deleted": (_comment_deleted, {"comment.deleted", "counts.changed"}),
    "counts.changed": (_reacted, {"counts.changed", "mine.changed"}),
    "mine.changed": (_reaction_withdrawn, {"counts.changed", "mine.changed"}),
    "counts.changed of a comment": (_comment_reacted, {"counts.changed", "mine.changed"}),
    "story.changed": (_story_published, {"post.created", "topic.changed", "story.changed"}),
    "membership.changed": (_joined, {"membership.changed", "topic.changed"}),
}

ELSEWHERE = {
    "topic.reloaded": "an import answers with a reset: tests/feed/test_archive*.py",
    "session.revoked": "closes sockets and changes no page: tests/notify/live",
    "notification.changed": "an inbox: tests/notify/inbox",
    "notification.removed": "an inbox: tests/notify/inbox",
    "inbox.read": "an inbox: tests/notify/inbox",
    "inbox.touched": "an inbox: tests/notify/inbox",
}


def test_every_kind_of_event_is_folded_somewhere() -> None:
    covered = {kind for _, kinds in CASES.values() for kind in kinds}
    assert covered | set(ELSEWHERE) == set(KINDS)


@pytest.mark.parametrize("services", [{"CHORUS_LOGS": "1"}], indirect=True)
async def test_a_page_fetched_before_plus_frames_equals_a_page_fetched_after(
    services: Stack, database: Database
) -> None:
    # All at once, each in a topic of its own: what each waits for longest is a mark.
    async with asyncio.TaskGroup() as cases:
        for number, name in enumerate(CASES):
            cases.create_task(_folds(services, database, number, name))


async def _folds(services: Stack, database: Database, number: int, name: str) -> None:
    change, kinds = CASES[name]
    async with (
        await Member.sign_up(services.url, f"reader{number}") as reader,
        await Member.sign_up(services.url, f"other{number}") as other,
        LiveClient(services.notify.live_url, reader.token) as client,
    ):
        await give_role(database, reader.id, "moderator")
        post = await other.post(f"Opening number {number}.", topics=[f"{TOPIC}_{number}"])
        comment = await other.comment(post, "A first comment.")
        scene = Scene(reader, other, number, post, comment)
        page, cursor = await _fetch(scene)
        seen: list[str] = []

        def fold(event: Json) -> None:
            seen.append(event["type"])
            page.fold(event)

        for channel in (f"topic:{scene.slug}", f"post:{post['id']}", f"inbox:{reader.id}"):
            await client.subscribe(channel, cursor, fold=fold)

        await change(scene)

        after, head = await _fetch(scene)
        await client.until(partial(_all_reached, client, head["seq"][0]))
        # What was written last may be numbered after that head; nothing else is under way.
        with contextlib.suppress(TimeoutError):
            await client.until(partial(_came_true, page, after, kinds, seen))
        assert page.compared() == after.compared(), name
        assert kinds <= set(seen), f"{name}: saw only {seen}"
        assert [fault for frame in client.frames for fault in frame_problems(frame)] == [], name


def _all_reached(client: LiveClient, seq: int) -> bool:
    proofs = [subscription.proof for subscription in client.subscriptions.values()]
    return all(proof.mine is not None and proof.mine[0] >= seq for proof in proofs)


def _came_true(page: Page, after: Page, kinds: set[str], seen: list[str]) -> bool:
    return kinds <= set(seen) and page.compared() == after.compared()


async def _fetch(scene: Scene) -> tuple[Page, Cursor]:
    """A page and a cursor no later than any part of it."""
    listed = await scene.reader.get(f"/v1/topics/{scene.slug}/posts", limit=100)
    topic = await scene.reader.get(f"/v1/topics/{scene.slug}")
    answer = await scene.reader.http.get(f"/v1/posts/{scene.post['id']}/comments", params={"limit": 100})
    comments = answer.json()["items"] if answer.status_code == 200 else []
    as_of: Cursor = listed["as_of"]
    return Page(topic, listed["items"], comments), as_of
