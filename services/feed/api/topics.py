"""Topics, their posts, and membership."""

from typing import Any

from litestar import Response, delete, get, put

from services.feed.api import doc
from services.feed.api.answers import gone, page_answer, read_answer, written
from services.feed.api.doc import READS, WRITES, Doc
from services.feed.api.requests import Ask, Query, context_of, id_of, member_of, slug_in_path, viewer
from services.feed.paging import Hottest, MostFollowed, Newest
from services.feed.posts import PostKind
from services.feed.topics import Header
from shared.errors import Invalid, NotFound
from shared.wire import encode

KINDS: tuple[PostKind, ...] = ("post", "story")


@get(
    "/v1/topics",
    opt={"doc": Doc(answer=doc.TopicPage, conditional=True, query=("limit", "before"), errors=(*READS, Invalid))},
)
async def list_topics(request: Ask) -> Response[bytes]:
    """Topics, the most followed first."""
    member = await viewer(request)
    query = Query(request)
    limit, before = query.limit(), query.before(MostFollowed)
    query.check()
    page = await context_of(request).topics.page(id_of(member), before, limit)
    return page_answer(request, page, member)


@get("/v1/topics/{slug:str}", opt={"doc": Doc(answer=doc.TopicNow, conditional=True, errors=(*READS, NotFound))})
async def read_topic(request: Ask) -> Response[bytes]:
    """A topic's header. Any spelling of its slug answers."""
    slug, member = slug_in_path(request), await viewer(request)
    header = await context_of(request).topics.read(slug, id_of(member))
    return read_answer(request, encode(header.topic), header.as_of, member)


@put("/v1/topics/{slug:str}/membership", opt={"doc": Doc(answer=doc.TopicNow, member=True, errors=(*WRITES, NotFound))})
async def join(request: Ask) -> Response[bytes]:
    """Join a topic. Joining again changes nothing."""
    member, slug = await member_of(request), slug_in_path(request)
    context = context_of(request)
    header = await context.topics.join(slug, member.id)
    context.waker.wake()
    return written(_now(header), header.as_of)


@delete(
    "/v1/topics/{slug:str}/membership",
    status_code=204,
    opt={"doc": Doc(status=204, member=True, errors=(*WRITES, NotFound))},
)
async def leave(request: Ask) -> Response[None]:
    """Leave a topic. Leaving again changes nothing."""
    member, slug = await member_of(request), slug_in_path(request)
    context = context_of(request)
    await context.topics.leave(slug, member.id)
    context.waker.wake()
    return gone()


@get(
    "/v1/topics/{slug:str}/posts",
    opt={
        "doc": Doc(
            answer=doc.PostPage,
            conditional=True,
            query=("limit", "before", "sort", "kind"),
            errors=(*READS, NotFound, Invalid),
        )
    },
)
async def list_posts(request: Ask) -> Response[bytes]:
    """A topic's posts, newest first; `sort=hot` puts those that move people first, `kind=story` shows stories alone."""
    slug, member = slug_in_path(request), await viewer(request)
    query = Query(request)
    limit = query.limit()
    kind = query.choice("kind", KINDS)
    posts, reader = context_of(request).posts, id_of(member)
    if query.choice("sort", ("new", "hot")) == "hot":
        after = query.before(Hottest)
        query.check()
        page = await posts.hottest(slug, reader, kind, after, limit)
    else:
        before = query.before(Newest)
        query.check()
        page = await posts.newest(slug, reader, kind, before, limit)
    return page_answer(request, page, member)


def _now(header: Header) -> bytes:
    return encode(header.topic)[:-1] + b',"as_of":' + encode(header.as_of) + b"}"


ROUTES: list[Any] = [list_topics, read_topic, join, leave, list_posts]
