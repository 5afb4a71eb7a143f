"""Reactions: one set of handlers over what is reacted to, a post or a comment."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, NamedTuple

from litestar import Response, delete, put

from services.feed.api.answers import gone, written
from services.feed.api.bodies import ReactionBody
from services.feed.api.context import Context
from services.feed.api.doc import BODIES, WRITES, Doc
from services.feed.api.requests import Ask, body_of, context_of, id_in_path, member_of
from services.feed.posts import Read
from services.feed.reactions import Reactions
from shared.errors import Fault, Invalid, NotFound
from shared.wire import Comment, Post


class _Target(NamedTuple):
    """What is reacted to. `set` takes its id, the member's, and a kind or None."""

    noun: Literal["post", "comment"]
    answer: type[Post] | type[Comment]
    set: Callable[[Reactions, int, int, str | None], Awaitable[Read]]


_TARGETS = (_Target("post", Post, Reactions.to_post), _Target("comment", Comment, Reactions.to_comment))


def _routes_of(target: _Target) -> list[Any]:
    name = f"{target.noun}_id"
    path = f"/v1/{target.noun}s/{{{name}:str}}/reaction"

    @put(
        path,
        name=f"react_to_{target.noun}",
        opt={"doc": Doc(body=ReactionBody, answer=target.answer, member=True, errors=(*BODIES, *WRITES, NotFound))},
    )
    async def react(request: Ask) -> Response[bytes]:
        context, member = context_of(request), await member_of(request)
        target_id, kind = id_in_path(request, name), await _kind(request, context)
        found = await target.set(context.reactions, target_id, member.id, kind)
        context.waker.wake()
        return written(found.body, found.as_of)

    @delete(
        path,
        status_code=204,
        name=f"withdraw_from_{target.noun}",
        opt={"doc": Doc(status=204, member=True, errors=(*WRITES, NotFound))},
    )
    async def withdraw(request: Ask) -> Response[None]:
        context, member = context_of(request), await member_of(request)
        await target.set(context.reactions, id_in_path(request, name), member.id, None)
        context.waker.wake()
        return gone()

    react.fn.__doc__ = f"Set your one reaction to a {target.noun}. Setting the same again changes nothing."
    withdraw.fn.__doc__ = f"Take your reaction to a {target.noun} back. Without one nothing changes."
    return [react, withdraw]


async def _kind(request: Ask, context: Context) -> str:
    """The kind of reaction that was sent. Raises Invalid for one that this community doesn't have."""
    kind = (await body_of(request, ReactionBody)).kind
    if kind not in context.settings.reaction_kinds:
        detail = f"One of {', '.join(context.settings.reaction_kinds)}."
        raise Invalid(errors=[Fault(field="kind", code="unknown_value", detail=detail)])
    return kind


ROUTES: list[Any] = [route for target in _TARGETS for route in _routes_of(target)]
