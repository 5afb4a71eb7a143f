"""Who may do what beyond what every member may: the one place that decides. Pure.

Roles are a ladder, each holding what those below it hold. What is a member's own (their words, their drafts) needs no
role to be read or taken away, so that losing one never locks somebody out of what they wrote.
"""

from typing import Literal

from shared.errors import Forbidden

Role = Literal["member", "author", "moderator", "admin"]
ROLES: tuple[Role, ...] = ("member", "author", "moderator", "admin")
"""From the least to the most."""

Act = Literal["write stories", "review stories", "grant roles"]
NEEDS: dict[Act, Role] = {"write stories": "author", "review stories": "moderator", "grant roles": "admin"}

State = Literal["draft", "review", "returned", "published"]
_SEEN_BY_REVIEWERS: frozenset[State] = frozenset({"review", "returned", "published"})


class RoleNeeded(Forbidden):
    """The member's role does not reach to this."""

    code = "role_needed"
    title = "Your role does not allow that"
    remedy = "Ask an admin of this community for the role that `detail` names."


class ReviewNeeded(Forbidden):
    """An author's story is read by a moderator before it is published."""

    code = "review_needed"
    title = "A moderator reads stories first"
    remedy = "Write it with POST /v1/stories and submit it, or publish it as a moderator."


def may(role: Role, act: Act) -> bool:
    """Whether somebody with this role may do it."""
    return ROLES.index(role) >= ROLES.index(NEEDS[act])


def check(role: Role, act: Act) -> None:
    """Raises RoleNeeded, which names the role that it takes."""
    if not may(role, act):
        raise RoleNeeded(f"To {act} takes the role {NEEDS[act]!r}; yours is {role!r}.")


def check_publishing_at_once(role: Role) -> None:
    """Whether somebody may publish a story without a review: who may review. Raises RoleNeeded, ReviewNeeded."""
    check(role, "write stories")
    if not may(role, "review stories"):
        raise ReviewNeeded("Stories by authors are read by a moderator before they are published.")


def may_see_story(viewer: int | None, role: Role, author: int, state: State) -> bool:
    """Whether a member (None: a guest) may see a story as a story; what is published stands as a post for everybody.

    A draft is its author's alone. One that was sent back stays with those who may have read it.
    """
    if viewer is None:
        return False
    return viewer == author or (may(role, "review stories") and state in _SEEN_BY_REVIEWERS)
