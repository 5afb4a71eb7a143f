"""What can be appended, in what order it stands, and what it looks like to a reader."""

import asyncio
import hashlib
import re

import asyncpg
import pytest
from redis.asyncio import Redis

from shared.eventlog import cursor, outbox
from shared.eventlog.installation import LogsAreFixed, initialise
from shared.eventlog.position import Cursor, Position
from shared.eventlog.stream import WAKE_CHANNEL
from shared.eventlog.wakes import listen
from shared.events import KINDS, CountsChanged, Event, PostDeleted, encode_payload
from tests.eventlog.rig import PATIENCE, Rig


def some_event(version: int = 1) -> Event:
    return PostDeleted(post_id="12", version=version)


async def test_an_appended_event_reads_back_as_it_was(dry_rig: Rig) -> None:
    writer = await dry_rig.connect()
    event = CountsChanged(post_id="12", counts={"comments": 3})
    async with dry_rig.running():
        event_id = await outbox.append(writer, key="12", event=event, channels=["post:12", "topic:älter"])
        await dry_rig.settle()
    [entry] = await dry_rig.log()
    assert (entry.event_id, entry.type, entry.seq) == (event_id, "counts.changed", 1)
    assert entry.channels == ("post:12", "topic:älter")
    assert entry.payload == encode_payload(event)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.at)


async def test_many_are_appended_in_order_and_in_one_round_trip(dry_rig: Rig) -> None:
    writer = await dry_rig.connect()
    drafts = [outbox.Draft("12", some_event(n), [] if n == 2 else ["post:12"]) for n in range(5)]
    ids = await outbox.append_many(writer, drafts)
    assert ids == sorted(ids)
    assert await outbox.append_many(writer, []) == []
    async with dry_rig.running():
        await dry_rig.settle()
    entries = await dry_rig.log()
    assert [entry.payload for entry in entries] == [encode_payload(draft.event) for draft in drafts]
    assert [entry.channels for entry in entries] == [tuple(draft.channels) for draft in drafts]


UNCARRIABLE: list[tuple[list[str | None], bytes]] = [
    (["a\nb"], b"{}"),
    ([""], b"{}"),
    ([None], b"{}"),
    (["a"], b"[]"),
    (["a"], b""),
    (["a"], b"{"),
    (["a"], b"{" + b" " * (1 << 20) + b"}"),
]


async def test_what_no_frame_could_carry_is_refused(dry_rig: Rig) -> None:
    writer = await dry_rig.connect()
    for channels, payload in UNCARRIABLE:
        with pytest.raises(asyncpg.CheckViolationError):
            await writer.fetchval("SELECT eventlog.append('k', 't', $1, $2)", channels, payload)


async def test_without_an_installation_nothing_is_appended(dry_rig: Rig) -> None:
    owner = await dry_rig.connect(dry_rig.database.url_direct)
    for request in ("", ", 'r'"):
        undone = owner.transaction()
        await undone.start()
        await owner.execute("DELETE FROM eventlog.installation")
        with pytest.raises(asyncpg.NotNullViolationError):
            await owner.execute(f"SELECT eventlog.append('k', 't', '{{}}', '{{}}'{request})")
        await undone.rollback()


async def test_a_key_always_goes_to_the_same_log(any_rig: Rig) -> None:
    writer = await any_rig.connect()
    for n in range(40):
        await outbox.append(writer, key=str(n % 20), event=some_event(n), channels=["post:1"])
    for n in range(20):  # as another language's writer does, who names no request
        payload = b'{"n":"%s"}' % (b"x" * (n * n % 7))
        await writer.execute("SELECT eventlog.append($1, 'x', ARRAY['post:1'], $2::bytea)", str(n), payload)
    rows = await any_rig.pool.fetch("SELECT log, payload FROM eventlog.event ORDER BY id")
    logs = [row["log"] for row in rows]
    assert logs[:20] == logs[20:40] == logs[40:]
    assert set(logs) == set(range(any_rig.logs))
    if any_rig.logs == 4:  # md5, so that an upgrade of Postgres keeps it
        assert logs[:20] == [int(hashlib.md5(str(n).encode()).hexdigest()[:8], 16) % 4 for n in range(20)]


async def test_the_number_of_logs_is_fixed_by_the_first_event(dry_rig: Rig) -> None:
    url = dry_rig.database.url_direct
    await initialise(url, 4)
    await initialise(url, 2)
    assert len((await cursor.head(dry_rig.pool)).seq) == 2
    await dry_rig.write()
    await initialise(url, 2)
    with pytest.raises(LogsAreFixed):
        await initialise(url, 3)


async def test_the_head_is_a_cursor_over_all_logs(any_rig: Rig) -> None:
    async with any_rig.running():
        for n in range(8):
            await any_rig.write(key=str(n))
        await any_rig.settle()
    heads = await cursor.head(any_rig.pool)
    assert heads.epoch == await any_rig.epoch()
    assert sum(heads.seq) == 8
    assert [heads.at(log) for log in range(any_rig.logs)] == [await any_rig.head(log) for log in range(any_rig.logs)]
    assert heads.to_json() == {"epoch": heads.epoch, "seq": list(heads.seq)}


def test_positions_are_written_as_stream_ids() -> None:
    assert str(Position(7, 60)) == "7-60"
    assert Position.parse(b"7-60") == Position(7, 60)
    assert Position(7, 60) < Position(8, 1)
    assert Cursor.from_json('{"epoch": 7, "seq": [60, 3]}') == Cursor(7, (60, 3))


async def test_a_wake_is_heard(rig: Rig) -> None:
    async with rig.redis.pubsub(ignore_subscribe_messages=True) as heard:
        await heard.subscribe(WAKE_CHANNEL)
        await heard.get_message(timeout=PATIENCE)
        await outbox.wake(rig.redis)
        async with asyncio.timeout(PATIENCE):
            while await heard.get_message(timeout=1) is None:
                pass


async def test_a_wake_wakes_every_sequencer(rig: Rig) -> None:
    wakes = [asyncio.Event(), asyncio.Event()]
    listening = asyncio.create_task(listen(rig.redis, wakes))
    async with asyncio.timeout(PATIENCE):
        while not all(wake.is_set() for wake in wakes):
            await outbox.wake(rig.redis)
            await asyncio.sleep(0.01)
    listening.cancel()
    await asyncio.wait([listening])


async def test_what_no_wake_tells_of_is_numbered_all_the_same(dry_rig: Rig) -> None:
    async with dry_rig.running():
        for _ in range(3):
            await dry_rig.write()
            async with asyncio.timeout(20):
                await dry_rig.settle()


async def test_a_wake_without_redis_is_lost_in_silence() -> None:
    await outbox.wake(None)
    nobody = Redis.from_url("redis://127.0.0.1:1")
    await outbox.wake(nobody)
    await nobody.aclose()


class Intruder(Event, frozen=True, kw_only=True, tag="intruder"):
    """Says for itself what the log says of it."""

    id: str = "7"


async def test_an_event_that_says_what_frames_put_in_front_is_refused(dry_rig: Rig) -> None:
    writer = await dry_rig.connect()
    with pytest.raises(TypeError, match="id"):
        await outbox.append(writer, key="k", event=Intruder(), channels=["post:1"])
    with pytest.raises(TypeError, match="id"):
        await outbox.append_many(writer, [outbox.Draft("k", Intruder(), ["post:1"])])
    assert await dry_rig.pool.fetchval("SELECT count(*) FROM eventlog.event") == 0


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_event_of_ours_says_what_frames_put_in_front(kind: type[Event]) -> None:
    assert not {"type", "id", "at"} & set(kind.__struct_fields__)
