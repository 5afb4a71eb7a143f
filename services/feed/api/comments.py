"""Comments below a post."""

from typing import Any

from litestar import Response, delete, get, patch, post

from services.feed.api import doc
from services.feed.api.answers import first, gone, page_answer, read_answer, written
from services.feed.api.bodies import CommentBody, CommentChange
from services.feed.api.doc import BODIES, READS, WRITES, Doc
from services.feed.api.requests import Ask, Query, body_of, context_of, id_in_path, id_of, key_of, member_of, viewer
from services.feed.comments import NewComment
from services.feed.paging import Oldest
from shared.errors import Forbidden, Invalid, KeyReused, NotFound, Stale, TooMany
from shared.wire import Comment


@get(
    "/v1/posts/{post_id:str}/comments",
    opt={
        "doc": Doc(
            answer=doc.CommentPage, conditional=True, query=("limit", "before"), errors=(*READS, NotFound, Invalid)
        )
    },
)
async def list_comments(request: Ask) -> Response[bytes]:
    """A post's comments, oldest first, deleted ones in their places without words. `before` takes `next` as it is."""
    post_id, member = id_in_path(request, "post_id"), await viewer(request)
    query = Query(request)
    limit, after = query.limit(), query.before(Oldest)
    query.check()
    page = await context_of(request).comments.page(post_id, id_of(member), after, limit)
    return page_answer(request, page, member)


@post(
    "/v1/posts/{post_id:str}/comments",
    opt={
        "doc": Doc(
            body=CommentBody,
            answer=Comment,
            status=201,
            member=True,
            key=True,
            errors=(*BODIES, *WRITES, NotFound, KeyReused, TooMany),
        )
    },
)
async def create_comment(request: Ask) -> Response[bytes]:
    """Write a comment, or with `parent` an answer to one."""
    context, member = context_of(request), await member_of(request)
    post_id = id_in_path(request, "post_id")
    body, key = await body_of(request, CommentBody), await key_of(request)
    context.limits.writes.take(member.author.id)
    new = NewComment(body=body.body, parent=None if body.parent is None else int(body.parent))
    answer = await context.comments.create(member, post_id, new, key)
    context.waker.wake()
    return first(answer)


@get("/v1/comments/{comment_id:str}", opt={"doc": Doc(answer=Comment, conditional=True, errors=(*READS, NotFound))})
async def read_comment(request: Ask) -> Response[bytes]:
    """One comment."""
    comment_id, member = id_in_path(request, "comment_id"), await viewer(request)
    found = await context_of(request).comments.read(comment_id, id_of(member))
    return read_answer(request, found.body, found.as_of, member, bare=True)


@patch(
    "/v1/comments/{comment_id:str}",
    opt={
        "doc": Doc(
            body=CommentChange, answer=Comment, member=True, errors=(*BODIES, *WRITES, Forbidden, NotFound, Stale)
        )
    },
)
async def change_comment(request: Ask) -> Response[bytes]:
    """Change your comment's words. `version` is the one you read: a stale one is refused."""
    context, member = context_of(request), await member_of(request)
    comment_id, body = id_in_path(request, "comment_id"), await body_of(request, CommentChange)
    found = await context.comments.change(comment_id, member.id, body.version, body.body)
    context.waker.wake()
    return written(found.body, found.as_of)


@delete(
    "/v1/comments/{comment_id:str}",
    status_code=204,
    opt={"doc": Doc(status=204, member=True, errors=(*WRITES, Forbidden, NotFound))},
)
async def delete_comment(request: Ask) -> Response[None]:
    """Delete your comment: its words go, its place in the thread stays."""
    context, member = context_of(request), await member_of(request)
    await context.comments.delete(id_in_path(request, "comment_id"), member.id)
    context.waker.wake()
    return gone()


ROUTES: list[Any] = [list_comments, create_comment, read_comment, change_comment, delete_comment]
