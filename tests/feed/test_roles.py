"""Roles: who may give them, that each change is recorded, and that losing one counts at the next request."""

import asyncio
from itertools import product
from typing import get_args

import asyncpg
import pytest

from services.commands.admin import ROLES as NAMED_BY_THE_COMMAND
from services.feed.roles import NEEDS, ROLES, State, may, may_see_story
from tests.feed.community import PASSWORD, Community, made, problem


def test_roles_are_a_ladder_and_the_command_names_the_same() -> None:
    assert NAMED_BY_THE_COMMAND == ROLES
    assert {act: [role for role in ROLES if may(role, act)] for act in NEEDS} == {
        "write stories": ["author", "moderator", "admin"],
        "review stories": ["moderator", "admin"],
        "grant roles": ["admin"],
    }


def test_who_may_see_a_story_on_its_way() -> None:
    for role, state in product(ROLES, get_args(State)):
        assert may_see_story(7, role, 7, state)
        assert not may_see_story(None, role, 7, state)
        assert may_see_story(8, role, 7, state) == (role in ("moderator", "admin") and state != "draft")


@pytest.mark.parametrize("role", ["member", "author", "moderator"])
async def test_roles_are_for_admins_to_see_and_to_give(community: Community, role: str) -> None:
    ada, bo = await community.give(await community.member(), role), await community.member()
    before = await community.row_counts()
    for method, path, body in (
        ("GET", "/v1/roles", None),
        ("GET", "/v1/grants", None),
        ("PUT", f"/v1/roles/{bo.handle}", {"role": "author"}),
        ("DELETE", f"/v1/roles/{bo.handle}", None),
        ("PUT", f"/v1/roles/{ada.handle}", {"role": "admin"}),
    ):
        said = problem(await ada.call(method, path, body), 403, "role_needed")
        assert "'admin'" in said["detail"]
    assert await community.row_counts() == before
    assert made(await ada.get("/v1/me"))["role"] == role


async def test_a_grant_counts_from_the_next_request_and_is_recorded(community: Community) -> None:
    ada, bo = await community.give(await community.member(), "admin"), await community.member()
    given = made(await ada.call("PUT", f"/v1/roles/{bo.handle}", {"role": "moderator"}))
    assert given == {"account": bo.account, "role": "moderator"}
    assert made(await bo.get("/v1/me"))["role"] == "moderator"
    assert [line["account"]["id"] for line in made(await ada.get("/v1/roles"))["items"]] == [bo.id, ada.id]
    made(await ada.call("PUT", f"/v1/roles/{bo.handle}", {"role": "moderator"}))
    assert (await ada.call("DELETE", f"/v1/roles/{bo.handle}")).status_code == 204
    assert made(await bo.get("/v1/me"))["role"] == "member"
    lines = made(await ada.get("/v1/grants"))["items"]
    assert [(line["before"], line["role"]) for line in lines] == [("moderator", "member"), ("member", "moderator")]
    assert all(line["account"] == bo.account and line["by"] == ada.account for line in lines)
    assert all(line["origin"] == "member" and line["operator"] is None for line in lines)


async def test_grants_are_read_page_by_page(community: Community) -> None:
    ada, bo = await community.give(await community.member(), "admin"), await community.member()
    for role in ("author", "moderator", "author"):
        made(await ada.call("PUT", f"/v1/roles/{bo.handle}", {"role": role}))
    first = made(await ada.get("/v1/grants?limit=2"))
    rest = made(await ada.get(f"/v1/grants?limit=2&before={first['next']}"))
    assert [line["role"] for line in first["items"] + rest["items"]] == ["author", "moderator", "author"]
    assert rest["next"] is None
    one = made(await ada.get("/v1/roles?limit=1"))
    assert one["next"] is not None
    assert len(made(await ada.get(f"/v1/roles?limit=1&before={one['next']}"))["items"]) == 1


async def test_the_last_admin_stays_one(community: Community) -> None:
    ada, bo = await community.give(await community.member(), "admin"), await community.member()
    problem(await ada.call("DELETE", f"/v1/roles/{ada.handle}"), 409, "last_admin")
    problem(await ada.call("PUT", f"/v1/roles/{ada.handle}", {"role": "moderator"}), 409, "last_admin")
    assert made(await ada.get("/v1/grants"))["items"] == []
    made(await ada.call("PUT", f"/v1/roles/{bo.handle}", {"role": "admin"}))
    answers = await asyncio.gather(
        ada.call("DELETE", f"/v1/roles/{bo.handle}"), bo.call("DELETE", f"/v1/roles/{ada.handle}")
    )
    # Whoever came second is no admin any more, or was the last one.
    assert sorted(answer.status_code for answer in answers) in ([204, 403], [204, 409])
    assert await community.owner.fetchval("select count(*) from feed.account where role = 'admin'") == 1


async def test_who_leaves_gives_up_their_role_on_record_and_the_last_admin_does_not_leave(community: Community) -> None:
    ada, bo = await community.give(await community.member(), "admin"), await community.member()
    leaving = {"password": PASSWORD, "words": "keep"}
    problem(await ada.call("POST", "/v1/me/deletion", leaving), 409, "last_admin")
    made(await ada.call("PUT", f"/v1/roles/{bo.handle}", {"role": "admin"}))
    assert (await ada.call("POST", "/v1/me/deletion", leaving)).status_code == 202
    line = made(await bo.get("/v1/grants"))["items"][0]
    assert (line["before"], line["role"], line["account"]["id"], line["by"]["id"]) == (
        "admin",
        "member",
        ada.id,
        ada.id,
    )
    problem(await bo.call("POST", "/v1/me/deletion", leaving), 409, "last_admin")


async def test_nobody_can_be_given_a_role_who_is_not_there(community: Community) -> None:
    ada = await community.give(await community.member(), "admin")
    problem(await ada.call("PUT", "/v1/roles/nobody_here", {"role": "author"}), 404, "not_found")
    problem(await ada.call("DELETE", "/v1/roles/No%20Handle"), 404, "not_found")
    problem(await ada.call("PUT", f"/v1/roles/{ada.handle}", {"role": "owner"}), 422, "invalid")


async def test_what_is_recorded_can_not_be_changed(community: Community) -> None:
    ada, bo = await community.give(await community.member(), "admin"), await community.member()
    made(await ada.call("PUT", f"/v1/roles/{bo.handle}", {"role": "author"}))
    for statement in ("update feed.role_grant set role = 'admin'", "delete from feed.role_grant"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await community.owner.execute(statement)
