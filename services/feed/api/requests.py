"""The request side of the door: who asks, and what they sent, decoded or refused."""

from typing import Any, TypeVar

from litestar import Request

from services.feed import paging, text
from services.feed.api.bodies import Body, read
from services.feed.api.context import Context
from services.feed.idempotency import Key, digest
from services.feed.paging import Keys
from services.feed.sessions import Member
from shared.auth import Principal
from shared.errors import BadOrigin, Fault, Invalid, NotFound, NotSignedIn, UnsupportedType
from shared.ids import parse_id

Ask = Request[Any, Any, Any]
B = TypeVar("B", bound=Body)
K = TypeVar("K", bound=Keys)
W = TypeVar("W", bound=str)

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_KEY_MAX = 200


def context_of(request: Ask) -> Context:
    """The rooms behind this door."""
    found: Context = request.app.state.context
    return found


async def viewer(request: Ask) -> Member | None:
    """Who reads; None for a guest. A bearer token that doesn't hold is an error, a cookie that doesn't is a guest's.

    Raises NotSignedIn.
    """
    principal = principal_of(request)
    if principal is None:
        return None
    member = await context_of(request).sessions.member(principal)
    if member is None and principal.kind == "access":
        raise NotSignedIn("The session has ended.")
    return member


def principal_of(request: Ask) -> Principal | None:
    """What the credentials say, signed by us and not past their time; None without any, or with a cookie that isn't.

    Raises NotSignedIn for a bearer token that isn't.
    """
    sessions = context_of(request).sessions
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedIn("The Authorization header takes a bearer token.")
        return sessions.read(token.strip(), "access")
    cookie = request.cookies.get(context_of(request).cookie)
    if not cookie:
        return None
    try:
        return sessions.read(cookie, "cookie")
    except NotSignedIn:
        return None


def id_of(member: Member | None) -> int | None:
    """A reader's id; None for a guest."""
    return None if member is None else member.id


async def member_of(request: Ask) -> Member:
    """Who writes. A cookie is taken only from our own pages. Raises NotSignedIn, BadOrigin."""
    return _from_our_page(request, await viewer(request))


async def author_of(request: Ask) -> Member:
    """Who writes, where the write itself checks that the session stands: that spares a round trip. As `member_of`."""
    principal = principal_of(request)
    known = None if principal is None else context_of(request).sessions.remembered(principal)
    return _from_our_page(request, known or await viewer(request))


def _from_our_page(request: Ask, found: Member | None) -> Member:
    if found is None:
        raise NotSignedIn
    if found.kind == "cookie" and request.method not in _SAFE and not same_origin(request):
        raise BadOrigin
    return found


def same_origin(request: Ask) -> bool:
    """Whether a browser says that the request comes from a page that may send it; saying nothing is not enough."""
    origin = request.headers.get("origin")
    if origin is not None:
        return origin in context_of(request).origins
    return request.headers.get("sec-fetch-site") == "same-origin"


def from_elsewhere(request: Ask) -> bool:
    """Whether a browser says that the request comes from another site; clients that are no browsers say nothing."""
    said = "origin" in request.headers or "sec-fetch-site" in request.headers
    return said and not same_origin(request)


async def body_of(request: Ask, struct: type[B], *, optional: bool = False) -> B:
    """The body, decoded and checked; with `optional` none at all stands for an empty object.

    Raises UnsupportedType, Unparsable, TooLarge (by Litestar) and Invalid with every fault.
    """
    raw = await request.body()
    if optional and not raw:
        return read(b"{}", struct)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("", "application/json"):  # a client that names none is believed: the parser will tell
        raise UnsupportedType("Send the body as application/json.")
    return read(raw, struct)


async def key_of(request: Ask) -> Key | None:
    """The Idempotency-Key with what it stands for; None without one. Raises Invalid."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not (0 < len(key) <= _KEY_MAX and key.isascii() and key.isprintable()):
        detail = f"1 to {_KEY_MAX} printable ASCII characters."
        raise Invalid(errors=[Fault(field="Idempotency-Key", code="malformed", detail=detail)])
    return Key(key=key, digest=digest(request.method, request.scope["path"], await request.body()))


def id_in_path(request: Ask, name: str) -> int:
    """The id in the address. Raises NotFound for what can be no id."""
    found = parse_id(request.path_params[name])
    if found is None:
        raise NotFound
    return found


def slug_in_path(request: Ask) -> str:
    """The topic that the address names in any spelling. Raises NotFound for what no topic is called."""
    spelling: str = request.path_params["slug"]
    slug = text.path_slug(spelling)
    if not slug or not slug.isprintable():
        raise NotFound("There is no such topic.")
    return slug


class Query:
    """The query string, whose faults are gathered; unknown parameters are left alone."""

    def __init__(self, request: Ask) -> None:
        self._given = request.query_params
        self._faults: list[Fault] = []

    def limit(self) -> int:
        """How many items a page holds."""
        given = self._given.get("limit")
        if given is None:
            return paging.LIMIT
        value = int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else 0
        if not 1 <= value <= paging.MOST:
            self._faults.append(Fault(field="limit", code="range", detail=f"A number from 1 to {paging.MOST}."))
        return value

    def before(self, kind: type[K]) -> K | None:
        """Where the page begins; None at the list's beginning."""
        try:
            return paging.keys_of(self._given.get("before"), kind)
        except Invalid as error:
            self._faults += error.errors
            return None

    def choice(self, name: str, choices: tuple[W, ...]) -> W | None:
        """One of `choices`; None when it is not asked for."""
        given = self._given.get(name)
        found = next((choice for choice in choices if choice == given), None)
        if given is not None and found is None:
            self._faults.append(Fault(field=name, code="unknown_value", detail=f"One of {', '.join(choices)}."))
        return found

    def check(self) -> None:
        """Raises Invalid with every fault found so far."""
        if self._faults:
            raise Invalid(errors=self._faults)
