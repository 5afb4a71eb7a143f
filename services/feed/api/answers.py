"""The answer side of the door: bytes that are JSON already, with the headers that section 5 asks for.

An entity tag is a digest of what the reader gets, and of who reads, leaving out the positions: those move with every
event anywhere, and stand in their own header, on a 304 too.
"""

from urllib.parse import quote, urlencode

from litestar import Response

from services.feed.api.requests import Ask
from services.feed.idempotency import Answer
from services.feed.paging import Page
from services.feed.sessions import Member
from shared.entity_tags import entity_tag, matches
from shared.faults import passed
from shared.wire import AsOf, encode

JSON = "application/json"
_READ = {"Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}
_WRITTEN = {"Cache-Control": "no-store", "Vary": "Cookie, Authorization"}


def read_answer(
    request: Ask, body: bytes, as_of: AsOf, viewer: Member | None, *, bare: bool = False
) -> Response[bytes]:
    """200 with `body`, a JSON object, or 304 where the reader has it; unless `bare`, `as_of` is put into the body."""
    etag = entity_tag(body, viewer.id if viewer else None)
    positions = encode(as_of)
    headers = {**_READ, "ETag": etag, "Chorus-As-Of": positions.decode()}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(b"", status_code=304, headers=headers, media_type=JSON)
    whole = body if bare else body[:-1] + b',"as_of":' + positions + b"}"
    return Response(whole, status_code=200, headers=headers, media_type=JSON)


def page_answer(request: Ask, page: Page, viewer: Member | None) -> Response[bytes]:
    """A page of a list, with a Link to the next one."""
    body = b'{"items":[' + b",".join(page.items) + b'],"next":' + encode(page.next) + b"}"
    response = read_answer(request, body, page.as_of, viewer)
    if page.next is not None:
        asked = {name: value for name, value in request.query_params.dict().items() if name != "before"}
        query = urlencode({**asked, "before": page.next}, doseq=True)
        response.headers["Link"] = f'<{quote(request.scope["path"])}?{query}>; rel="next"'
    return response


def written(body: bytes, as_of: AsOf, status: int = 200) -> Response[bytes]:
    """What a write made, as it now is."""
    passed("feed:committed")
    headers = {**_WRITTEN, "Chorus-As-Of": encode(as_of).decode()}
    return Response(body, status_code=status, headers=headers, media_type=JSON)


def first(answer: Answer) -> Response[bytes]:
    """The answer to a request that may bear an Idempotency-Key."""
    response = written(answer.body, answer.as_of, answer.status)
    if answer.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def plain(body: object, status: int = 200) -> Response[bytes]:
    """An answer that the log knows nothing of."""
    return Response(encode(body), status_code=status, headers=dict(_WRITTEN), media_type=JSON)


def accepted() -> Response[bytes]:
    """202: it will be done."""
    passed("feed:committed")
    return Response(b"", status_code=202, headers=dict(_WRITTEN))


def gone() -> Response[None]:
    """204: done, and nothing to say."""
    passed("feed:committed")
    return Response(None, status_code=204, headers=dict(_WRITTEN))
