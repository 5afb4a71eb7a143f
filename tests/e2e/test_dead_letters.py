"""An event that nobody can decode, from the writer's transaction to the operator who has it handled after all."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx

from tests.e2e.people import Member
from tests.e2e.test_refusals import chorus
from tests.live_client import LiveClient
from tests.servers import Database
from tests.stack import PATIENCE, Stack

_GARBLE = """
create function public.garble() returns trigger language plpgsql as $$
begin
    if new.type = 'comment.created' then new.payload := '{,'::bytea || substring(new.payload from 2); end if;
    return new;
end $$;
create trigger garble before insert on eventlog.event for each row execute function public.garble();
"""
_MEND = "update notify.dead_letter set payload = '{'::bytea || substring(payload from 3)"


@contextlib.asynccontextmanager
async def a_writer_that_garbles(direct: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[None]:
    """What `eventlog.append` is given of a comment comes into the log as bytes that are no such event."""
    await direct.execute(_GARBLE)
    yield
    # Not dropped: that would lock the log's tables beside whoever reads them.
    await direct.execute(
        "create or replace function public.garble() returns trigger language plpgsql as $$ begin return new; end $$"
    )


async def answers(services: Stack, member: Member, count: int) -> list[str]:
    """The comments that the member's inbox tells of, newest first, once there are so many."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=services.notify.url, timeout=20) as http:
        while True:
            answer = await http.get("/v1/notifications", headers={"Authorization": f"Bearer {member.token}"})
            items = answer.json()["items"]
            if len(items) >= count:
                return [item["comment_id"] for item in items]


async def test_an_event_that_cannot_be_decoded_is_parked_named_and_handled_once_mended(
    services: Stack, database: Database, tmp_path: Path
) -> None:
    urls = {"DATABASE_URL": database.url_feed, "NOTIFY_DATABASE_URL": database.url_notify}

    def dead_letters() -> list[str]:
        done = chorus(tmp_path, "doctor", "--json", **urls, DIRECT_DATABASE_URL=database.url_direct)
        named = [finding for finding in json.loads(done.stdout) if finding["what"].startswith("dead letter")]
        assert (done.returncode == 1) is any(not finding["ok"] for finding in named), done.stdout
        return [f"{finding['what']}: {finding['found']}" for finding in named]

    async with contextlib.AsyncExitStack() as stack:
        direct = await asyncpg.connect(database.url_direct)
        stack.push_async_callback(direct.close)
        ida = await stack.enter_async_context(await Member.sign_up(services.url, "ida"))
        sam = await stack.enter_async_context(await Member.sign_up(services.url, "sam"))
        post = await ida.post("Does anybody have a spare ladder?")
        page = await stack.enter_async_context(LiveClient(services.notify.live_url))
        live = await page.subscribe(f"post:{post['id']}")
        async with a_writer_that_garbles(direct):
            garbled = await sam.comment(post, "In the shed.")
        clear = await sam.comment(post, "Help yourself.")

        assert await answers(services, ida, 1) == [clear["id"]], "the rest goes on"
        [letter] = await direct.fetch("select * from notify.dead_letter")
        assert letter["payload"].startswith(b"{,")
        await page.until(lambda: "comment.created" in [event["type"] for event in live.events])
        events = dict(zip([seq for _, _, seq in live.chain], live.events, strict=True))
        assert events[letter["seq"]]["type"] == "undecodable", "its number is kept"
        assert live.gaps == 0
        [said] = dead_letters()
        assert said.startswith("dead letter comment.created: 1 since ")
        assert f"the first at {letter['seq']}: DecodeError: JSON is malformed" in said

        replay = chorus(tmp_path, "admin", "replay", **urls)
        assert (replay.returncode, replay.stdout.strip()) == (1, "0 handled, 1 failed again and stay.")
        await direct.execute(_MEND)
        replay = chorus(tmp_path, "admin", "replay", **urls)
        assert (replay.returncode, replay.stdout.strip()) == (0, "1 handled, 0 failed again and stay.")
        assert set(await answers(services, ida, 2)) == {garbled["id"], clear["id"]}
        assert dead_letters() == ["dead letters: none"]
