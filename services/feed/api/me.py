"""What a member does to their own account: password, address, sessions, leaving; and the way back in by a letter."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Response, delete, get, post, put

from services.feed.addresses import AddressTaken, Confirmed, Email
from services.feed.api import doc
from services.feed.api.accounts import address_of, without_cookie
from services.feed.api.answers import accepted, gone, page_answer, read_answer, written
from services.feed.api.bodies import (
    EmailChange,
    EmailConfirmation,
    Leaving,
    PasswordChange,
    PasswordReset,
    RecoveryAsked,
)
from services.feed.api.doc import BODIES, READS, WRITES, Doc
from services.feed.api.requests import Ask, Query, body_of, context_of, id_in_path, member_of, viewer
from services.feed.granting import LastAdmin
from services.feed.letters import fold
from services.feed.paging import Newest
from services.feed.positions import positions
from services.feed.sessions import Member
from shared.errors import Busy, ChorusError, Conflict, Invalid, NotFound, NotSignedIn, TooMany
from shared.links import LinkEnded
from shared.wire import encode


class NoMail(Conflict):
    """Nobody told this Chorus how to send letters."""

    code = "mail_not_set_up"
    title = "This Chorus sends no mail"
    remedy = "Ask whoever runs it to set CHORUS_SMTP_URL and CHORUS_MAIL_FROM."


@post(
    "/v1/me/password",
    status_code=204,
    opt={"doc": Doc(body=PasswordChange, status=204, member=True, errors=(*BODIES, *WRITES, TooMany))},
)
async def change_password(request: Ask) -> Response[None]:
    """Change your password. All your other sessions end, and a letter goes to your confirmed address."""
    context = context_of(request)
    member = await member_of(request)
    body = await body_of(request, PasswordChange)
    with _guessing(request, member, "current"):
        await context.accounts.change_password(member, body.current, body.password)
    context.waker.wake()
    return gone()


@get("/v1/me/email", opt={"doc": Doc(answer=Email, member=True, errors=READS)})
async def read_email(request: Ask) -> Response[bytes]:
    """Your address, and the one that waits for you to follow the link in its letter. Nobody else can read it."""
    context, member = context_of(request), await _reader(request)
    as_of = await positions(context.pool)
    return read_answer(request, encode(await context.addresses.read(member.id)), as_of, member, bare=True)


@put(
    "/v1/me/email",
    opt={"doc": Doc(body=EmailChange, answer=Email, member=True, errors=(*BODIES, *WRITES, NoMail, TooMany))},
)
async def set_email(request: Ask) -> Response[bytes]:
    """Set, change or (null) remove your address. A new one counts once its letter's link was followed, within a day;
    until then the old one stays. The answer never tells whether somebody else has it."""
    context = context_of(request)
    member = await member_of(request)
    body = await body_of(request, EmailChange)
    if body.address is not None:
        _check_mail(request)
        context.limits.letters_to.take(fold(body.address))
    try:
        with _guessing(request, member, "password"):
            email = await context.addresses.give(member.id, body.address, body.password)
    except Invalid:
        if body.address is not None:  # no letter went: a stranger's guesses keep nobody from recovering
            context.limits.letters_to.give_back(fold(body.address))
        raise
    return written(encode(email), await positions(context.pool))


@post(
    "/v1/email/confirm",
    status_code=200,
    opt={
        "doc": Doc(body=EmailConfirmation, answer=Confirmed, errors=(*BODIES, LinkEnded, AddressTaken, TooMany, Busy))
    },
)
async def confirm_email(request: Ask) -> Response[bytes]:
    """Confirm an address by the token of its letter's link, once; whoever has the link needs no sign-in."""
    context, body = context_of(request), await body_of(request, EmailConfirmation)
    context.limits.links_from.take(address_of(request))
    confirmed = await context.addresses.confirm(body.token)
    return written(encode(confirmed), await positions(context.pool))


@post(
    "/v1/password/recovery",
    status_code=202,
    opt={"doc": Doc(body=RecoveryAsked, status=202, errors=(*BODIES, NoMail, TooMany, Busy))},
)
async def ask_recovery(request: Ask) -> Response[bytes]:
    """Ask for a letter whose link sets a new password, within an hour. Who has confirmed the address gets one; the
    answer, and the time it takes, are the same for every address."""
    body = await body_of(request, RecoveryAsked)
    _check_mail(request)
    context = context_of(request)
    context.limits.links_from.take(address_of(request))
    context.limits.letters_to.take(fold(body.address))
    await context.recovery.ask(body.address)
    return accepted()


@post(
    "/v1/password/reset",
    status_code=204,
    opt={"doc": Doc(body=PasswordReset, status=204, errors=(*BODIES, LinkEnded, TooMany, Busy))},
)
async def reset_password(request: Ask) -> Response[None]:
    """Set a new password by the token of a letter's link, once. All sessions of the account end; sign in afterwards."""
    context = context_of(request)
    body = await body_of(request, PasswordReset)
    context.limits.links_from.take(address_of(request))
    await context.recovery.reset(body.token, body.password)
    context.waker.wake()
    return gone()


@get(
    "/v1/me/sessions",
    opt={
        "doc": Doc(
            answer=doc.SessionPage,
            member=True,
            conditional=True,
            query=("limit", "before"),
            errors=(*READS, Invalid),
        )
    },
)
async def list_sessions(request: Ask) -> Response[bytes]:
    """Where you are signed in, newest first; `seen_at` is true to the hour."""
    member = await _reader(request)
    query = Query(request)
    limit, before = query.limit(), query.before(Newest)
    query.check()
    return page_answer(request, await context_of(request).sessions.page(member, before, limit), member)


@delete(
    "/v1/me/sessions/{session_id:str}",
    status_code=204,
    opt={"doc": Doc(status=204, member=True, errors=(*WRITES, NotFound))},
)
async def end_session(request: Ask) -> Response[None]:
    """End one of your sessions: its tokens at once, its sockets (4503) within a second."""
    context = context_of(request)
    member = await member_of(request)
    session_id = id_in_path(request, "session_id")
    await context.sessions.end(member, session_id)
    context.waker.wake()
    return without_cookie(request, gone()) if session_id == member.session_id else gone()


@delete("/v1/me/sessions", status_code=204, opt={"doc": Doc(status=204, member=True, errors=WRITES)})
async def end_other_sessions(request: Ask) -> Response[None]:
    """End all your sessions but the one that asks."""
    context = context_of(request)
    await context.sessions.end_others(await member_of(request))
    context.waker.wake()
    return gone()


@post(
    "/v1/me/deletion",
    status_code=202,
    opt={"doc": Doc(body=Leaving, status=202, member=True, errors=(*BODIES, *WRITES, LastAdmin, TooMany))},
)
async def delete_account(request: Ask) -> Response[bytes]:
    """Delete your account, for good. Name, password, address and sessions go at once; the rest follows within minutes.

    With `words: remove` your posts, comments, photos and reactions go; a post that somebody answered stays, empty,
    above the answers. With `keep` they stay, by a deleted member. Nobody can take your handle for half a year. The only
    admin has to make somebody else one first.
    """
    context = context_of(request)
    member = await member_of(request)
    body = await body_of(request, Leaving)
    with _guessing(request, member, "password"):
        await context.departures.leave(member.id, body.password, body.words)
    context.waker.wake()
    return without_cookie(request, accepted())


async def _reader(request: Ask) -> Member:
    member = await viewer(request)
    if member is None:
        raise NotSignedIn
    return member


@contextmanager
def _guessing(request: Ask, member: Member, field: str) -> Iterator[None]:
    """Whoever has somebody's session may not find out their password by trying: counted like guesses at the door.

    Only what fails because of the password in `field` stays counted.
    """
    guesses, key = context_of(request).limits.sign_ins, member.author.handle
    guesses.take(key)
    try:
        yield
    except Invalid as refused:
        if all(fault.field != field for fault in refused.errors):
            guesses.give_back(key)
        raise
    except ChorusError:
        guesses.give_back(key)
        raise
    guesses.give_back(key)


def _check_mail(request: Ask) -> None:
    if not context_of(request).settings.sends_mail():
        raise NoMail


ROUTES: list[Any] = [
    change_password,
    read_email,
    set_email,
    confirm_email,
    ask_recovery,
    reset_password,
    list_sessions,
    end_session,
    end_other_sessions,
    delete_account,
]
