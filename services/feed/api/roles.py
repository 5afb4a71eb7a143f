"""Roles: who has which, who gave it, and giving and taking them. For admins."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, put
from msgspec import Meta

from services.feed import text
from services.feed.api.answers import gone, page_answer, written
from services.feed.api.bodies import Body
from services.feed.api.doc import BODIES, READS, WRITES, Doc
from services.feed.api.requests import Ask, Query, body_of, context_of, member_of
from services.feed.granting import Grant, Holder, LastAdmin
from services.feed.paging import Newest
from services.feed.positions import positions
from services.feed.roles import Act, Role, RoleNeeded, check
from services.feed.sessions import Member
from shared.errors import Invalid, NotFound
from shared.wire import AsOf, encode


class RoleBody(Body, frozen=True, kw_only=True):
    """The one role that a member has."""

    role: Annotated[Role, Meta(description="From the least to the most: member, author, moderator, admin.")]


class HolderPage(msgspec.Struct, frozen=True, kw_only=True):
    """Members with a role beyond a member's."""

    items: list[Holder]
    next: str | None
    as_of: AsOf


class GrantPage(msgspec.Struct, frozen=True, kw_only=True):
    """Every change of a role, newest first."""

    items: list[Grant]
    next: str | None
    as_of: AsOf


async def staff_of(request: Ask, act: Act) -> tuple[Member, Role]:
    """Who asks, with their role as it is now, which reaches to `act`. Raises NotSignedIn, BadOrigin, RoleNeeded."""
    member = await member_of(request)
    role = (await context_of(request).roles.of(member.id)).role
    check(role, act)
    return member, role


def _listing(answer: type[msgspec.Struct]) -> dict[str, Doc]:
    errors = (*READS, RoleNeeded, Invalid)
    return {"doc": Doc(answer=answer, member=True, conditional=True, query=("limit", "before"), errors=errors)}


async def _asked(request: Ask) -> tuple[Member, Newest | None, int]:
    """Which admin asks for which page."""
    member, _ = await staff_of(request, "grant roles")
    query = Query(request)
    limit, before = query.limit(), query.before(Newest)
    query.check()
    return member, before, limit


@get("/v1/roles", opt=_listing(HolderPage))
async def list_roles(request: Ask) -> Response[bytes]:
    """Who is an author, a moderator or an admin. For admins."""
    member, before, limit = await _asked(request)
    return page_answer(request, await context_of(request).roles.holders(before, limit), member)


@get("/v1/grants", opt=_listing(GrantPage))
async def list_grants(request: Ask) -> Response[bytes]:
    """Every change of a role: who, whom, what, when, and whether by a member or a command. For admins."""
    member, before, limit = await _asked(request)
    return page_answer(request, await context_of(request).roles.grants(before, limit), member)


@put(
    "/v1/roles/{handle:str}",
    opt={
        "doc": Doc(
            body=RoleBody, answer=Holder, member=True, errors=(*BODIES, *WRITES, RoleNeeded, NotFound, LastAdmin)
        )
    },
)
async def give_role(request: Ask) -> Response[bytes]:
    """Give a member a role, in place of the one they have; it counts from their next request. For admins.

    The last admin can't become something else this way.
    """
    member, _ = await staff_of(request, "grant roles")
    handle, body = _handle_in_path(request), await body_of(request, RoleBody)
    context = context_of(request)
    holder = await context.roles.give(handle, body.role, by=member.id)
    return written(encode(holder), await positions(context.pool))


@delete(
    "/v1/roles/{handle:str}",
    status_code=204,
    opt={"doc": Doc(status=204, member=True, errors=(*WRITES, RoleNeeded, NotFound, LastAdmin))},
)
async def take_role(request: Ask) -> Response[None]:
    """A member is a member like any other again. For admins."""
    member, _ = await staff_of(request, "grant roles")
    await context_of(request).roles.give(_handle_in_path(request), "member", by=member.id)
    return gone()


def _handle_in_path(request: Ask) -> str:
    handle: str = request.path_params["handle"]
    if text.check_handle(handle):
        raise NotFound("Nobody bears such a handle.")
    return handle


ROUTES: list[Any] = [list_roles, list_grants, give_role, take_role]
