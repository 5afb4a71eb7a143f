"""Accounts, sessions, and the ticket for the socket."""

from typing import Any, TypeVar

import msgspec
from litestar import Response, delete, get, post
from litestar.datastructures import Cookie

from services.feed.accounts import HandleTaken, Recognised
from services.feed.api import doc
from services.feed.api.answers import gone, plain, read_answer
from services.feed.api.bodies import Renewal, SignIn, SignUp
from services.feed.api.context import Context
from services.feed.api.doc import BODIES, READS, WRITES, Doc
from services.feed.api.requests import Ask, body_of, context_of, from_elsewhere, member_of, viewer
from services.feed.devices import device
from services.feed.sessions import Credentials
from shared.errors import BadOrigin, Busy, NotSignedIn, TooMany
from shared.wire import Author, encode

R = TypeVar("R", bytes, None)


class WrongPassword(NotSignedIn):
    """No member bears this handle with this password."""

    code = "wrong_password"
    title = "Handle and password don't go together"
    remedy = "Check both; the answer is the same whichever is wrong."


@post(
    "/v1/accounts",
    opt={"doc": Doc(body=SignUp, answer=doc.Account, status=201, errors=(*BODIES, HandleTaken, TooMany, Busy))},
)
async def sign_up(request: Ask) -> Response[bytes]:
    """Make an account. Its bearer token is good for an hour."""
    context = context_of(request)
    body = await body_of(request, SignUp)
    context.limits.sign_ups.take(address_of(request))
    known = await context.accounts.sign_up(body.handle, body.display_name, body.password)
    credentials = await _open(request, known, cookie=False)
    return plain(doc.Account(account=known.author, token=credentials.token), 201)


@post(
    "/v1/sessions",
    opt={
        "doc": Doc(
            body=SignIn, answer=doc.Session, status=201, errors=(*BODIES, WrongPassword, BadOrigin, TooMany, Busy)
        )
    },
)
async def sign_in(request: Ask) -> Response[bytes]:
    """Sign in. API clients get a bearer token for an hour; with `cookie` a browser gets an HttpOnly cookie instead."""
    context = context_of(request)
    body = await body_of(request, SignIn)
    if body.cookie and from_elsewhere(request):
        raise BadOrigin
    by_handle, by_address = body.handle.lower(), address_of(request)
    # Counted before the password is looked at, so that guesses side by side count too.
    context.limits.sign_ins_from.take(by_address)
    context.limits.sign_ins.take(by_handle)
    known = await context.accounts.recognise(body.handle.lower(), body.password)
    if known is None:
        raise WrongPassword
    context.limits.sign_ins.give_back(by_handle)
    context.limits.sign_ins_from.give_back(by_address)
    return _session(context, known.author, await _open(request, known, cookie=body.cookie), cookie=body.cookie)


@post(
    "/v1/sessions/renew",
    opt={
        "doc": Doc(
            body=Renewal, body_optional=True, answer=doc.Session, status=201, member=True, errors=(*BODIES, *WRITES)
        )
    },
)
async def renew(request: Ask) -> Response[bytes]:
    """Fresh credentials of the same session, for up to thirty days after signing in."""
    context = context_of(request)
    member = await member_of(request)
    body = await body_of(request, Renewal, optional=True)
    cookie = member.kind == "cookie" if body.cookie is msgspec.UNSET else bool(body.cookie)
    if cookie and from_elsewhere(request):
        raise BadOrigin
    return _session(context, member.author, context.sessions.renew(member, cookie=cookie), cookie=cookie)


@delete("/v1/sessions/current", status_code=204, opt={"doc": Doc(status=204, member=True, errors=WRITES)})
async def sign_out(request: Ask) -> Response[None]:
    """End the session: its tokens and its sockets end at once."""
    context = context_of(request)
    member = await member_of(request)
    await context.sessions.revoke(member)
    context.waker.wake()
    return without_cookie(request, gone())


@get("/v1/me", opt={"doc": Doc(answer=doc.Me, member=True, conditional=True, errors=READS)})
async def me(request: Ask) -> Response[bytes]:
    """Who is signed in, and their role."""
    member = await viewer(request)
    if member is None:
        raise NotSignedIn
    standing = await context_of(request).roles.of(member.id)
    body = doc.Me(**msgspec.structs.asdict(member.author), role=standing.role)
    return read_answer(request, encode(body), standing.as_of, member, bare=True)


@post("/v1/live/ticket", opt={"doc": Doc(answer=doc.Ticket, status=201, member=True, errors=WRITES)})
async def ticket(request: Ask) -> Response[bytes]:
    """A ticket that a page hands to the socket, which ignores cookies."""
    made = context_of(request).sessions.ticket(await member_of(request))
    return plain(doc.Ticket(ticket=made.token, expires_in=made.expires_in), 201)


def without_cookie(request: Ask, response: Response[R]) -> Response[R]:
    """The browser forgets a session that has ended."""
    context = context_of(request)
    if context.cookie in request.cookies:
        response.set_cookie(_cookie(context, "", 0))
    return response


async def _open(request: Ask, known: Recognised, *, cookie: bool) -> Credentials:
    """A session of who gave their password. Raises WrongPassword when that was changed meanwhile."""
    credentials = await context_of(request).sessions.open(
        known.author,
        password_version=known.password_version,
        cookie=cookie,
        device=device(request.headers.get("user-agent")),
    )
    if credentials is None:
        raise WrongPassword
    return credentials


def _session(context: Context, account: Author, credentials: Credentials, *, cookie: bool) -> Response[bytes]:
    if not cookie:
        answer = doc.Session(account=account, expires_in=credentials.expires_in, token=credentials.token)
        return plain(answer, 201)
    response = plain(doc.Session(account=account, expires_in=credentials.expires_in), 201)
    response.set_cookie(_cookie(context, credentials.token, credentials.expires_in))
    return response


def _cookie(context: Context, value: str, max_age: int) -> Cookie:
    return Cookie(
        key=context.cookie,
        value=value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="lax",
        secure=context.secure,
    )


def address_of(request: Ask) -> str:
    """Where a request comes from, as far as we can see."""
    return request.client.host if request.client else ""


ROUTES: list[Any] = [sign_up, sign_in, renew, sign_out, me, ticket]
