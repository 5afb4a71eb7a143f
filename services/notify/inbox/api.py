"""The inbox's door: `GET /v1/notifications` and `POST /v1/notifications/read`, by bearer token or ticket.

`app.state` holds the composition root's `pool`, `settings` and `wake`. Cookies mean nothing here: the page calls from
another origin with a ticket, so that no other site's page can call in its name.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.config.cors import CORSConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from services.notify.identity import authenticate
from services.notify.inbox.inbox import Page, ReadUpTo, mark_read, read_page
from services.notify.settings import NotifySettings
from shared.auth import Principal
from shared.decoding import decode_body
from shared.entity_tags import entity_tag, matches
from shared.errors import Fault, Invalid, NotSignedIn, TooLarge, UnsupportedType
from shared.ids import parse_id
from shared.postgres import Pool
from shared.web import Problem
from shared.wire import AsOf, encode

LIMIT = 20
"""Lines of a page when nobody says how many."""
LIMIT_MAX = 100
BODY_MAX = 4096
"""Bytes of a body at most: the longest honest one has forty."""

_JSON = "application/json"
_NOWHERE = AsOf(epoch=0, seq=[])
"""Stands for any position where an entity tag is made."""
_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization, Origin"}


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`up_to`: the id of the newest line that was seen."""

    up_to: str


def _problems(*statuses: int) -> dict[int, ResponseSpec]:
    return {
        status: ResponseSpec(Problem, media_type="application/problem+json", generate_examples=False)
        for status in statuses
    }


def cors(settings: NotifySettings) -> CORSConfig:
    """The page's origins may call, with a bearer token and without cookies."""
    return CORSConfig(
        allow_origins=sorted(settings.origins()),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "X-Request-Id"],
        allow_credentials=False,
        expose_headers=["Chorus-As-Of", "ETag", "Link", "Retry-After", "X-Request-Id"],
        max_age=3600,
    )


@get(
    "/v1/notifications",
    operation_id="listNotifications",
    summary="Your inbox, newest first",
    tags=["notifications"],
    security=[{"bearer": []}],
    responses=_problems(401, 422, 503),
)
async def list_notifications(
    request: Request[Any, Any, Any],
    limit: Annotated[
        str | None, Parameter(description=f"Lines at most, 1 to {LIMIT_MAX}; {LIMIT} when left out.")
    ] = None,
    before: Annotated[str | None, Parameter(description="`next` of the page before.")] = None,
) -> Response[Page | None]:
    """One page; `as_of` is the position to subscribe to `inbox:{you}` from."""
    principal, pool = await _principal(request)
    size, older_than = _paging(limit, before)
    page = await read_page(pool, principal.account_id, limit=size, before=older_than)
    etag = entity_tag(encode(msgspec.structs.replace(page, as_of=_NOWHERE)), principal.account_id)
    headers = {**_HEADERS, "ETag": etag, "Chorus-As-Of": encode(page.as_of).decode()}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(None, status_code=304, headers=headers)
    if page.next is not None:
        headers["Link"] = f'</v1/notifications?limit={size}&before={page.next}>; rel="next"'
    return Response(page, headers=headers)


@post(
    "/v1/notifications/read",
    status_code=200,
    operation_id="readNotifications",
    summary="Mark everything up to a line as read",
    tags=["notifications"],
    security=[{"bearer": []}],
    responses=_problems(400, 401, 404, 413, 415, 422, 503),
)
async def read_notifications(request: Request[Any, Any, Any]) -> Response[ReadUpTo]:
    """How far the inbox is read now: an older line than the last time changes nothing."""
    principal, pool = await _principal(request)
    asked = decode_body(await _json_body(request), ReadRequest)
    up_to = parse_id(asked.up_to)
    if up_to is None:
        raise Invalid(errors=[Fault(field="up_to", code="malformed", detail="Expected the id of a line.")])
    read, as_of = await mark_read(pool, principal.account_id, up_to)
    request.app.state.wake()
    return Response(read, headers={**_HEADERS, "Chorus-As-Of": encode(as_of).decode()})


inbox_routes = [list_notifications, read_notifications]
"""The inbox's handlers, for the composition root."""


async def _principal(request: Request[Any, Any, Any]) -> tuple[Principal, Pool]:
    pool: Pool = request.app.state.pool
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn
    secret: str = request.app.state.settings.secret_key
    return await authenticate(pool, secret, token.strip()), pool


async def _json_body(request: Request[Any, Any, Any]) -> bytes:
    if request.headers.get("content-type", _JSON).partition(";")[0].strip().lower() != _JSON:
        raise UnsupportedType
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            raise TooLarge
    return bytes(body)


def _paging(limit: str | None, before: str | None) -> tuple[int, int | None]:
    """Raises Invalid with every fault."""
    faults = []
    size = LIMIT if limit is None else parse_id(limit)
    if size is None or size > LIMIT_MAX:
        faults.append(Fault(field="limit", code="invalid", detail=f"Expected a number from 1 to {LIMIT_MAX}."))
    older_than = None if before is None else parse_id(before)
    if before is not None and older_than is None:
        faults.append(Fault(field="before", code="malformed", detail="Expected `next` of the page before."))
    if faults or size is None:
        raise Invalid(errors=faults)
    return size, older_than
