"""Stories on their way to being posts: drafts, the review, publishing."""

from typing import Any

from litestar import Response, delete, get, patch, post

from services.feed.api.answers import first, gone, page_answer, read_answer, written
from services.feed.api.bodies import STORY_BYTES, PreviewBody, StoryBody, StoryChange, StoryReturn, StoryStep
from services.feed.api.doc import BODIES, READS, WRITES, Doc, Preview, StoryPage
from services.feed.api.requests import Ask, Query, body_of, context_of, id_in_path, key_of, member_of
from services.feed.api.roles import staff_of
from services.feed.paging import LongestWaiting, Newest
from services.feed.positions import positions
from services.feed.posts import Read
from services.feed.roles import RoleNeeded, check
from services.feed.stories import Words
from services.feed.story import Story
from services.feed.story_steps import WrongState
from shared.errors import Forbidden, Invalid, KeyReused, NotFound, Stale, TooMany
from shared.wire import encode

_OWN = (*BODIES, *WRITES, Forbidden, NotFound, Stale, WrongState)
_STEP = (*_OWN, RoleNeeded)


@post(
    "/v1/stories",
    request_max_body_size=STORY_BYTES,
    opt={
        "doc": Doc(
            body=StoryBody,
            answer=Story,
            status=201,
            member=True,
            key=True,
            errors=(*BODIES, *WRITES, KeyReused, RoleNeeded, TooMany),
        )
    },
)
async def create_story(request: Ask) -> Response[bytes]:
    """Begin a story. For authors; nobody else sees a draft. `cover` is a photo of yours that no post carries."""
    context = context_of(request)
    member, _ = await staff_of(request, "write stories")
    body, key = await body_of(request, StoryBody), await key_of(request)
    context.limits.writes.take(member.author.id)
    answer = await context.stories.create(member, _words(body), key)
    return first(answer)


@post(
    "/v1/stories/preview",
    status_code=200,
    request_max_body_size=STORY_BYTES,
    opt={"doc": Doc(body=PreviewBody, answer=Preview, member=True, errors=(*BODIES, *WRITES, RoleNeeded, TooMany))},
)
async def preview(request: Ask) -> Response[bytes]:
    """What Markdown looks like once it is published: by the same parser and sanitiser. For authors; keeps nothing."""
    context = context_of(request)
    member, _ = await staff_of(request, "write stories")
    body = await body_of(request, PreviewBody)
    context.limits.writes.take(member.author.id)
    html = await context.stories.preview(body.body)
    return written(encode(Preview(html=html)), await positions(context.pool))


@get(
    "/v1/stories",
    opt={
        "doc": Doc(
            answer=StoryPage,
            member=True,
            conditional=True,
            query=("limit", "before", "list"),
            errors=(*READS, RoleNeeded, Invalid),
        )
    },
)
async def list_stories(request: Ask) -> Response[bytes]:
    """Your own stories, newest first; with `list=review`, for moderators, those that wait, longest waiting first."""
    context, member = context_of(request), await member_of(request)
    query = Query(request)
    limit = query.limit()
    if query.choice("list", ("mine", "review")) == "review":
        after = query.before(LongestWaiting)
        query.check()
        check((await context.roles.of(member.id)).role, "review stories")
        page = await context.review.waiting(after, limit)
    else:
        before = query.before(Newest)
        query.check()
        page = await context.stories.own(member.id, before, limit)
    return page_answer(request, page, member)


@get(
    "/v1/stories/{story_id:str}",
    opt={"doc": Doc(answer=Story, member=True, conditional=True, errors=(*READS, NotFound))},
)
async def read_story(request: Ask) -> Response[bytes]:
    """A story with its `html` and what happened to it: for its author, and from its submission on for moderators."""
    story_id, member = id_in_path(request, "story_id"), await member_of(request)
    role = (await context_of(request).roles.of(member.id)).role
    found = await context_of(request).stories.read(story_id, member.id, role)
    return read_answer(request, found.body, found.as_of, member, bare=True)


@patch(
    "/v1/stories/{story_id:str}",
    request_max_body_size=STORY_BYTES,
    opt={"doc": Doc(body=StoryChange, answer=Story, member=True, errors=_STEP)},
)
async def change_story(request: Ask) -> Response[bytes]:
    """Change your draft, or a story that came back; what you leave out stays. A stale `version` is refused.

    A published story is a post, and changed as one.
    """
    member, _ = await staff_of(request, "write stories")
    story_id, body = id_in_path(request, "story_id"), await body_of(request, StoryChange)
    stories = context_of(request).stories
    return _done(request, await stories.change(story_id, member.id, body.version, _words(body)))


@delete(
    "/v1/stories/{story_id:str}",
    status_code=204,
    opt={"doc": Doc(status=204, member=True, errors=(*WRITES, Forbidden, NotFound, WrongState))},
)
async def delete_story(request: Ask) -> Response[None]:
    """Delete your story before it is published, with its cover and its notes. A published one is deleted as a post."""
    context, member = context_of(request), await member_of(request)
    await context.stories.delete(id_in_path(request, "story_id"), member.id)
    context.waker.wake()
    return gone()


@post(
    "/v1/stories/{story_id:str}/submit",
    status_code=200,
    opt={"doc": Doc(body=StoryStep, answer=Story, member=True, errors=_STEP)},
)
async def submit_story(request: Ask) -> Response[bytes]:
    """Hand your story to the moderators. It needs a title and words, and a cover says what it shows."""
    member, _ = await staff_of(request, "write stories")
    story_id, body = id_in_path(request, "story_id"), await body_of(request, StoryStep)
    return _done(request, await context_of(request).stories.submit(story_id, member.id, body.version))


@post(
    "/v1/stories/{story_id:str}/withdraw",
    status_code=200,
    opt={"doc": Doc(body=StoryStep, answer=Story, member=True, errors=_OWN)},
)
async def withdraw_story(request: Ask) -> Response[bytes]:
    """Take your story back out of the review: a draft again."""
    member = await member_of(request)
    story_id, body = id_in_path(request, "story_id"), await body_of(request, StoryStep)
    return _done(request, await context_of(request).stories.withdraw(story_id, member.id, body.version))


@post(
    "/v1/stories/{story_id:str}/publish",
    status_code=200,
    opt={
        "doc": Doc(
            body=StoryStep,
            answer=Story,
            member=True,
            errors=(*BODIES, *WRITES, RoleNeeded, NotFound, Stale, WrongState),
        )
    },
)
async def publish_story(request: Ask) -> Response[bytes]:
    """Publish a story that is in review: it becomes a post, `post_id`, of this moment. For moderators."""
    member, _ = await staff_of(request, "review stories")
    story_id, body = id_in_path(request, "story_id"), await body_of(request, StoryStep)
    return _done(request, await context_of(request).review.publish(story_id, member.id, body.version))


@post(
    "/v1/stories/{story_id:str}/return",
    status_code=200,
    opt={
        "doc": Doc(
            body=StoryReturn,
            answer=Story,
            member=True,
            errors=(*BODIES, *WRITES, RoleNeeded, NotFound, Stale, WrongState),
        )
    },
)
async def return_story(request: Ask) -> Response[bytes]:
    """Send a story that is in review back to its author, with a note. For moderators."""
    member, _ = await staff_of(request, "review stories")
    story_id, body = id_in_path(request, "story_id"), await body_of(request, StoryReturn)
    return _done(request, await context_of(request).review.send_back(story_id, member.id, body.version, body.note))


def _words(body: StoryBody | StoryChange) -> Words:
    cover = body.cover
    return Words(
        title=body.title,
        body=body.body,
        topics=body.topics,
        cover=int(cover) if isinstance(cover, str) else cover,
        content_warning=body.content_warning,
    )


def _done(request: Ask, read: Read) -> Response[bytes]:
    context_of(request).waker.wake()
    return written(read.body, read.as_of)


ROUTES: list[Any] = [
    create_story,
    preview,
    list_stories,
    read_story,
    change_story,
    delete_story,
    submit_story,
    withdraw_story,
    publish_story,
    return_story,
]
