"""The whole matrix: every role, every state of a story, every call."""

from typing import Any

import pytest

from tests.feed.community import Community
from tests.feed.storytelling import ask, people, story_in

CALLS = ("read", "change", "submit", "withdraw", "publish", "return", "delete")
WHO = ("guest", "member", "author", "moderator", "admin", "owner", "former")
"""`owner` is the story's author, and `former` is its author without the role."""


def expected(call: str, who: str, state: str) -> int:
    """The status that this call by this one gives, for a story in this state."""
    if who == "guest":
        return 401
    mine, staff = who in ("owner", "former"), who in ("moderator", "admin")
    if call in ("change", "submit") and who in ("member", "former"):
        return 403
    if call in ("publish", "return") and not staff:
        return 403
    hidden = not mine and (state == "draft" or not staff)
    if hidden:
        return 404
    if call in ("read",):
        return 200
    if call in ("publish", "return"):
        return 200 if state == "review" else 409
    if not mine:
        return 403
    if call == "delete":
        return 409 if state == "published" else 204
    takes = {"change": ("draft", "returned"), "submit": ("draft", "returned"), "withdraw": ("review",)}
    return 200 if state in takes[call] else 409


@pytest.mark.parametrize("state", ["draft", "review", "returned", "published"])
async def test_everybody_may_do_what_their_role_and_the_state_allow_and_nothing_else(serve: Any, state: str) -> None:
    community: Community = await serve(writes_per_minute=100_000)
    member, author, mo, admin, owner = await people(community, "member", "author", "moderator", "admin", "author")
    by = {"guest": None, "member": member, "author": author, "moderator": mo, "admin": admin}
    wrong = []
    for call in CALLS:
        story = await story_in(state, owner, mo)
        for who in WHO:
            due = expected(call, who, state)
            if who == "former":
                await community.give(owner, "member")
            response = await ask(community, by.get(who, owner), call, story)
            await community.give(owner, "author")
            if response.status_code != due:
                wrong.append(f"{call} by {who}: {response.status_code}, due {due}: {response.text[:120]}")
            if response.is_success and call != "read":
                story = await story_in(state, owner, mo)
    assert not wrong, "\n".join(wrong)
