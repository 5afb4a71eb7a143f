"""Posts: write, read, change, delete."""

from typing import Any

import msgspec
from litestar import Response, delete, get, patch, post

from services.feed import words
from services.feed.api.answers import first, gone, read_answer, written
from services.feed.api.bodies import STORY_BYTES, PostBody, PostChange, ids
from services.feed.api.doc import BODIES, READS, WRITES, Doc
from services.feed.api.requests import Ask, author_of, body_of, context_of, id_in_path, id_of, key_of, member_of, viewer
from services.feed.edits import Change
from services.feed.posts import NewPost, Rendered
from services.feed.roles import ReviewNeeded, RoleNeeded, check_publishing_at_once
from shared.errors import Fault, Forbidden, Invalid, KeyReused, NotFound, Stale, TooMany
from shared.wire import Post


@post(
    "/v1/posts",
    request_max_body_size=STORY_BYTES,
    opt={
        "doc": Doc(
            body=PostBody,
            answer=Post,
            status=201,
            member=True,
            key=True,
            errors=(*BODIES, *WRITES, KeyReused, RoleNeeded, ReviewNeeded, TooMany),
        )
    },
)
async def create_post(request: Ask) -> Response[bytes]:
    """Write a post. Tags in its text, and topics asked for, make their topics where there are none yet.

    A story is published at once by moderators; an author's is read by one first: POST /v1/stories.
    """
    context, member = context_of(request), await author_of(request)
    body, key = await body_of(request, PostBody), await key_of(request)
    faults = words.check_length(body.kind, body.body)
    if body.kind == "story" and body.title is None:
        faults.append(Fault(field="title", code="required", detail="A story has a title."))
    if faults:
        raise Invalid(errors=faults)
    if body.kind == "story":
        check_publishing_at_once((await context.roles.of(member.id)).role)
    context.limits.writes.take(member.author.id)
    new = NewPost(
        kind=body.kind,
        title=body.title,
        body=body.body,
        topics=body.topics,
        media=ids(body.media),
        content_warning=body.content_warning,
    )
    answer = await context.posts.create(member, new, key)
    context.waker.wake()
    return first(answer)


@get("/v1/posts/{post_id:str}", opt={"doc": Doc(answer=Post, conditional=True, errors=(*READS, NotFound))})
async def read_post(request: Ask) -> Response[bytes]:
    """One post."""
    post_id, member = id_in_path(request, "post_id"), await viewer(request)
    found = await context_of(request).posts.read(post_id, id_of(member))
    return read_answer(request, found.body, found.as_of, member, bare=True)


@get("/v1/posts/{post_id:str}/html", opt={"doc": Doc(answer=Rendered, conditional=True, errors=(*READS, NotFound))})
async def read_rendered(request: Ask) -> Response[bytes]:
    """A story's Markdown as sanitised HTML; a post that is no story has none. `version` is that of the words."""
    found = await context_of(request).posts.rendered(id_in_path(request, "post_id"))
    return read_answer(request, found.body, found.as_of, None, bare=True)


@patch(
    "/v1/posts/{post_id:str}",
    request_max_body_size=STORY_BYTES,
    opt={"doc": Doc(body=PostChange, answer=Post, member=True, errors=(*BODIES, *WRITES, Forbidden, NotFound, Stale))},
)
async def change_post(request: Ask) -> Response[bytes]:
    """Change your post; what you leave out stays. `version` is the one you read: a stale one is refused."""
    context, member = context_of(request), await member_of(request)
    post_id, body = id_in_path(request, "post_id"), await body_of(request, PostChange)
    wanted = Change(
        version=body.version,
        title=body.title,
        body=body.body,
        topics=body.topics,
        media=msgspec.UNSET if body.media is msgspec.UNSET else ids(body.media),
        content_warning=body.content_warning,
    )
    found = await context.edits.change(post_id, member.id, wanted)
    context.waker.wake()
    return written(found.body, found.as_of)


@delete(
    "/v1/posts/{post_id:str}",
    status_code=204,
    opt={"doc": Doc(status=204, member=True, errors=(*WRITES, Forbidden, NotFound))},
)
async def delete_post(request: Ask) -> Response[None]:
    """Delete your post, with its words, its photos and the thread below it."""
    context, member = context_of(request), await member_of(request)
    await context.edits.delete(id_in_path(request, "post_id"), member.id)
    context.waker.wake()
    return gone()


ROUTES: list[Any] = [create_post, read_post, read_rendered, change_post, delete_post]
