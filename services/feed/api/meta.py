"""What the page must know first, and the documentation."""

from typing import Any

from litestar import Litestar, Response, get

from services.feed import images, paging, text
from services.feed.api import bodies
from services.feed.api.answers import read_answer
from services.feed.api.doc import Configuration, Doc, FeedLimits
from services.feed.api.openapi import document
from services.feed.api.requests import Ask, context_of
from services.feed.markdown import STORY_LENGTH
from services.feed.positions import positions
from shared.docs import HEADERS, calls_page, errors_page
from shared.wire import encode

_BESIDES = """The inbox's calls stand at <code>/docs</code> of notify (<code>/notify/docs</code> where a proxy gives one
origin), the live contract at its <code>/asyncapi.json</code>, for machines."""


@get("/v1/config", opt={"doc": Doc(answer=Configuration, conditional=True)})
async def config(request: Ask) -> Response[bytes]:
    """Where the live socket and notify are, the kinds of reaction, and what is taken at most."""
    context = context_of(request)
    limits = FeedLimits(
        body=text.BODY_LENGTH[1],
        story=STORY_LENGTH[1],
        title=text.TITLE_LENGTH[1],
        content_warning=text.WARNING_LENGTH[1],
        alt=text.ALT_LENGTH[1],
        topics=bodies.TOPICS_MAX,
        media=bodies.MEDIA_MAX,
        media_bytes=images.MAX_BYTES,
        page=paging.MOST,
    )
    settings = context.settings
    configuration = Configuration(
        live_url=settings.socket_url(),
        notify_url=settings.notify_url(),
        mail=settings.sends_mail(),
        reaction_kinds=settings.reaction_kinds,
        limits=limits,
    )
    as_of = await positions(context.pool)
    return read_answer(request, encode(configuration), as_of, None, bare=True)


class Docs:
    """The documents of one app, made at the first asking: its routes stand only when it does."""

    def __init__(self) -> None:
        self._made: dict[str, Any] | None = None

    def of(self, app: Litestar, reaction_kinds: tuple[str, ...]) -> dict[str, Any]:
        """The OpenAPI document."""
        if self._made is None:
            self._made = document(app.routes, reaction_kinds)
        return self._made


def docs_routes() -> list[Any]:
    """`/openapi.json`, and the same for people: `/docs` and `/docs/errors`, plain HTML without a script."""
    docs = Docs()

    def made(request: Ask) -> dict[str, Any]:
        return docs.of(request.app, context_of(request).settings.reaction_kinds)

    @get("/openapi.json", sync_to_thread=False)
    def openapi(request: Ask) -> Response[bytes]:
        headers = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
        return Response(encode(made(request)), headers=headers, media_type="application/json")

    @get("/docs", sync_to_thread=False)
    def calls(request: Ask) -> Response[str]:
        return Response(
            calls_page(made(request), "The feed's calls", _BESIDES),
            headers=dict(HEADERS),
            media_type="text/html; charset=utf-8",
        )

    @get("/docs/errors", sync_to_thread=False)
    def problems(request: Ask) -> Response[str]:
        return Response(errors_page(), headers=dict(HEADERS), media_type="text/html; charset=utf-8")

    return [openapi, calls, problems]


ROUTES: list[Any] = [config]
