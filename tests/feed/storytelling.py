"""What tests of stories say: people with roles, stories in a state, one call on one."""

from typing import Any

import httpx

from tests.feed.community import Community, Member, made, story_of
from tests.feed.test_media import picture


async def people(community: Community, *roles: str) -> list[Member]:
    """Somebody with each of these roles."""
    return [await community.give(await community.member(), role) for role in roles]


async def step(member: Member, story: dict[str, Any], name: str, **more: Any) -> dict[str, Any]:
    """The story one step on."""
    return made(await member.call("POST", f"/v1/stories/{story['id']}/{name}", {"version": story["version"], **more}))


async def photo_of(member: Member, alt: str | None = "A lamp in a window") -> str:
    """A photo of theirs that no post carries."""
    files: dict[str, Any] = {"file": ("p.png", picture("PNG"))}
    answer = made(await member.call("POST", "/v1/media", files=files, data={} if alt is None else {"alt": alt}))
    return str(answer["id"])


async def story_in(state: str, author: Member, moderator: Member) -> dict[str, Any]:
    """A story of this author in this state."""
    story = await story_of(author, title="Lamps", body="Words. #lamps")
    if state == "draft":
        return story
    story = await step(author, story, "submit")
    if state == "returned":
        return await step(moderator, story, "return", note="Shorter, please")
    return await step(moderator, story, "publish") if state == "published" else story


async def ask(community: Community, member: Member | None, call: str, story: dict[str, Any]) -> httpx.Response:
    """One of the seven calls on this story, as this member; None: a guest."""
    path, version = f"/v1/stories/{story['id']}", {"version": story["version"]}
    method, path, body = {
        "read": ("GET", path, None),
        "change": ("PATCH", path, {**version, "body": "Other words"}),
        "return": ("POST", f"{path}/return", {**version, "note": "Not yet"}),
        "delete": ("DELETE", path, None),
    }.get(call, ("POST", f"{path}/{call}", version))
    if member is not None:
        return await member.call(method, path, body)
    return await community.http.request(method, path, json=body)
