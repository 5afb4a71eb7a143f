"""Subscribing, resuming and everything that a subscription goes through, on a real server."""

import asyncio

import msgspec
import websockets

from services.notify.live import ring
from tests.live_client import LiveClient
from tests.notify.live.house import House, Pen, cursor, house_of, numbers, token
from tests.servers import Database


async def test_subscribing_from_a_page_leaves_no_gap_and_answers_with_the_request_s_id(house: House, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(3, ["post:1", "topic:a"])
    await pen.write_many(1, ["post:2"])
    await house.reached(4)
    async with LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a", page)
        assert numbers(topic.events) == [1, 2, 3]
        assert [(prev, seq) for _, prev, seq in topic.chain] == [(0, 1), (1, 2), (2, 3)]
        subscribed = next(f for f in client.frames if f["type"] == "subscribed")
        assert subscribed == {"type": "subscribed", "id": 2, "channel": "topic:a", "as_of": await pen.cursor()}
        await pen.write_many(1, ["topic:a"])
        await client.events("topic:a", 4)
        assert topic.chain[-1] == (0, 4, 5), "following began at 4"


async def test_an_event_frame_carries_type_id_and_time_before_the_payload(house: House, pen: Pen) -> None:
    async with LiveClient(house.url) as client:
        await client.subscribe("post:1")
        written = await pen.write("comment.created", ["post:1", "member:9"], {"comment": {"body": "ünï\n🙂"}})
        event = (await client.events("post:1", 1))[0]
        assert list(event) == ["type", "id", "at", "comment"]
        assert (event["type"], event["id"], event["comment"]) == ("comment.created", str(written), {"body": "ünï\n🙂"})
        assert len(event["at"]) == 24
        assert event["at"].endswith("Z")


async def test_marks_follow_the_head_and_stop_with_it(house: House, pen: Pen) -> None:
    async with LiveClient(house.url) as client:
        quiet = await client.subscribe("post:77")
        await pen.write_many(5, ["topic:elsewhere"])
        await client.until(lambda: quiet.proof.mine == [5])
        assert [f for f in client.frames if f["type"] == "mark"][-1] == {"type": "mark", "log": 0, "seq": 5}


async def test_superseded_counts_are_left_out_and_the_chain_stays_whole(house: House, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    for likes in range(20):
        await pen.append("counts.changed", ["post:1"], {"post_id": "1", "counts": {"version": likes}})
        await pen.append(
            "counts.changed", ["post:1"], {"post_id": "1", "comment_id": "5", "counts": {"version": likes}}
        )
    await pen.append("comment.created", ["post:1"], {"n": 1})
    await pen.number()
    await house.reached(41)
    async with LiveClient(house.url) as client:
        post = await client.subscribe("post:1", page)
        assert [e["type"] for e in post.events] == ["counts.changed", "counts.changed", "comment.created"]
        assert [e["counts"]["version"] for e in post.events[:2]] == [19, 19]
        assert [(prev, seq) for _, prev, seq in post.chain] == [(0, 39), (39, 40), (40, 41)]


async def test_unsubscribing_ends_the_frames(house: House, pen: Pen) -> None:
    async with LiveClient(house.url) as client:
        await client.subscribe("post:1")
        await client.subscribe("post:2")
        await client.unsubscribe("post:1")
        await client.until(lambda: client.latest["type"] == "unsubscribed")
        assert client.latest["channels"] == ["post:1"]
        await pen.write("x", ["post:1", "post:2"])
        await client.events("post:2", 1)
        assert not [f for f in client.frames if f["type"] == "event" and f["channel"] == "post:1"]
        assert "post:1" not in house.hub.channels


async def test_an_inbox_is_its_owner_s_alone(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    other, _ = await pen.member("bea")
    async with LiveClient(house.url, token(account, session)) as owner, LiveClient(house.url) as guest:
        mine = await owner.subscribe(f"inbox:{account}")
        assert mine.proof.state == "live"
        assert (await owner.subscribe(f"inbox:{other}")).resets == ["forbidden"]
        assert (await guest.subscribe(f"inbox:{account}")).resets == ["forbidden"]
        assert (await guest.subscribe("home")).resets == ["forbidden"]
        await pen.write("mine.changed", [f"inbox:{account}"], {"account_id": str(account), "post_id": "1"})
        await owner.events(f"inbox:{account}", 1)


async def test_a_reload_resets_the_topic_for_those_who_follow_it_and_for_those_who_come_back(
    house: House, pen: Pen
) -> None:
    page = cursor(await pen.cursor())
    async with LiveClient(house.url) as here, LiveClient(house.url) as late:
        topic, other = await here.subscribe("topic:a"), await here.subscribe("post:1")
        await pen.append("x", ["topic:a", "post:1"], {"n": 1})
        await pen.append("topic.reloaded", ["topic:a"], {"slug": "a"})
        await pen.append("x", ["topic:a", "post:1"], {"n": 2})
        await pen.number()
        await here.events("post:1", 2)
        await here.until(lambda: bool(topic.resets))
        assert topic.resets == ["reloaded"]
        assert numbers(topic.events) == [1]
        assert numbers(other.events) == [1, 2]
        back = await late.subscribe("topic:a", page)
        assert back.resets == ["reloaded"]
        again = await late.subscribe("topic:a", cursor(await pen.cursor()))
        assert again.proof.state == "live"


async def test_home_follows_joining_and_leaving_and_names_real_channels(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    await pen.membership(account, "sleep", joined=True)
    async with LiveClient(house.url, token(account, session)) as client:
        await client.send({"type": "subscribe", "id": 70, "channels": [{"channel": "home"}]})
        await client.until(lambda: client.latest["type"] == "subscribed")
        assert client.latest["channels"] == ["topic:sleep"]
        assert client.latest["id"] == 70
        await pen.membership(account, "walks", joined=True)
        await client.until(lambda: client.latest["type"] == "home.changed")
        assert client.latest["added"] == ["topic:walks"]
        assert client.latest["as_of"] == await pen.cursor()
        await pen.write("x", ["topic:walks"], {"n": 1})
        await client.until(lambda: client.latest.get("channel") == "topic:walks")
        await pen.membership(account, "sleep", joined=False)
        await client.until(lambda: client.latest["type"] == "home.changed")
        assert client.latest["removed"] == ["topic:sleep"]
        await pen.write("x", ["topic:sleep"], {"n": 2})
        await pen.write("x", ["topic:walks"], {"n": 3})
        await client.until(lambda: client.latest.get("event", {}).get("n") == 3)
        assert not [f for f in client.frames if f["type"] == "event" and f["event"]["n"] == 2]


async def test_home_resumes_from_the_lowest_position(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    for topic in ("a", "b"):
        await pen.membership(account, topic, joined=True)
    page = await pen.cursor()
    await pen.write_many(3, ["topic:a"])
    await pen.write_many(3, ["topic:b"])
    await pen.write_many(3, ["topic:c"])
    await house.reached(11)
    async with LiveClient(house.url, token(account, session)) as client:
        asked = {"channel": "home", "since": page}
        await client.send({"type": "subscribe", "id": 70, "channels": [asked]})
        await client.until(lambda: client.latest["type"] == "subscribed")
        replayed = [(f["channel"], f["event"]["n"]) for f in client.frames if f["type"] == "event"]
        assert sorted(replayed) == [(f"topic:{t}", n) for t in "ab" for n in (1, 2, 3)]


async def test_a_hundred_and_twenty_eight_subscriptions_and_not_one_more(house: House) -> None:
    async with LiveClient(house.url) as client:
        channels = [{"channel": f"post:{n}"} for n in range(1, 129)]
        await client.send({"type": "subscribe", "id": 50, "channels": channels})
        await client.until(lambda: sum(f["type"] == "subscribed" for f in client.frames) == 128)
        await client.send({"type": "subscribe", "id": 51, "channels": [{"channel": "post:500"}]})
        await client.until(lambda: client.latest["type"] == "error")
        assert (client.latest["id"], client.latest["code"]) == (51, "too_many_subscriptions")
        await client.send({"type": "subscribe", "id": 52, "channels": [{"channel": "post:5"}]})
        await client.until(lambda: client.latest["type"] == "subscribed")


async def test_home_counts_as_one_however_many_topics_were_joined(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    for n in range(130):
        await pen.membership(account, f"t{n}", joined=True)
    async with LiveClient(house.url, token(account, session)) as client:
        await client.send({"type": "subscribe", "id": 70, "channels": [{"channel": "home"}]})
        await client.until(lambda: client.latest["type"] == "subscribed")
        assert len(client.latest["channels"]) == 130
        channels = [{"channel": f"post:{n}"} for n in range(1, 128)]
        await client.send({"type": "subscribe", "id": 71, "channels": channels})
        await client.until(lambda: sum(f["type"] == "subscribed" for f in client.frames) == 128)
        assert not [f for f in client.frames if f["type"] == "error"]


async def test_a_slow_reader_catches_up_by_itself_and_hears_no_mark_meanwhile(database: Database, pen: Pen) -> None:
    async with house_of(database, write_buffer=16_384) as house, LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a")
        session = next(iter(house.hub.sessions))
        assert client._socket is not None
        client._socket.transport.pause_reading()
        for _ in range(10):
            await pen.write_many(200, ["topic:a"], size=4_000)
        await house.reached(2_000)
        await pen.write("x", ["topic:a"], {"n": 0})
        await house.reached(2_001)
        async with asyncio.timeout(10):
            while session.behind is None:
                await pen.write("x", ["topic:a"], {"n": 0})
                await asyncio.sleep(0.02)
        client._socket.transport.resume_reading()
        last = (await pen.cursor())["seq"][0]
        await client.until(lambda: topic.proof.mine == [last], 20)
        assert len(topic.events) == last
        assert topic.gaps == 0


async def test_two_logs_each_with_its_own_chain(database: Database, pen: Pen) -> None:
    await pen.logs(2)
    keys = {0: "k", 1: "j"}
    async with house_of(database, logs=2) as house, LiveClient(house.url) as client:
        assert client.welcome["logs"] == 2
        topic = await client.subscribe("topic:a")
        assert topic.proof.mine is not None
        assert len(topic.proof.mine) == 2
        for n in range(6):
            await pen.write("x", ["topic:a"], {"n": n}, key=keys[n % 2])
        await client.events("topic:a", 6)
        assert {log for log, _, _ in topic.chain} == {0, 1}
        await client.close()
        await pen.write("x", ["topic:a"], {"n": 6}, key=keys[0])
        await client.connect()
        await client.events("topic:a", 7)
        assert topic.gaps == 0
        refused = {"channel": "post:1", "since": {"epoch": client.welcome["epoch"], "seq": [1]}}
        await client.send({"type": "subscribe", "id": 90, "channels": [refused]})
        await client.until(lambda: client.latest["type"] == "error")
        assert client.latest["code"] == "bad_since"


async def test_another_spelling_of_a_topic_is_refused_by_the_channel_to_ask_for_and_whoever_asks_for_that_resumes(
    house: House, pen: Pen
) -> None:
    page = cursor(await pen.cursor())
    await pen.write_many(2, ["topic:selfcompassion"])
    await house.reached(2)
    async with LiveClient(house.url) as client:
        for spelling in ("Self-Compassion", "self_compassion"):
            asked = [{"channel": "post:1", "since": page}, {"channel": f"topic:{spelling}", "since": page}]
            await client.send({"type": "subscribe", "id": 90, "channels": asked})
            await client.until(lambda: client.latest.get("channel") == f"topic:{spelling}")  # noqa: B023
            said = client.latest
            assert (said["type"], said["id"], said["code"]) == ("error", 90, "unfolded_channel")
        assert not [frame for frame in client.frames if frame["type"] == "subscribed"], "refused whole"
        channel = said["detail"].split()[-1]
        topic = await client.subscribe(channel, page)
        assert numbers(topic.events) == [1, 2]
        await client.close()
        await pen.write_many(3, ["topic:selfcompassion"])
        await client.connect()
        await client.events(channel, 5)
        assert numbers(topic.events) == [1, 2, 1, 2, 3]
        assert (topic.gaps, topic.resets) == (0, [])
    assert not house.fatal


async def test_a_hello_with_another_spelling_of_a_topic_is_welcome_and_told(house: House) -> None:
    async with websockets.connect(house.url, subprotocols=[websockets.Subprotocol("chorus.v1")]) as socket:
        await socket.send('{"type":"hello","id":1,"subscribe":[{"channel":"topic:Sleep"}]}')
        welcome, told = [msgspec.json.decode(await socket.recv()) for _ in range(2)]
        assert (welcome["type"], told["type"], told["id"], told["code"]) == ("welcome", "error", 1, "unfolded_channel")


async def test_an_undecodable_event_keeps_its_position_and_breaks_no_client(house: House, pen: Pen) -> None:
    async with LiveClient(house.url) as client:
        topic = await client.subscribe("topic:a")
        for payload in (b"{not json}", b'{"a": "\xff"}', b'{"a": 1}{"b": 2}', b"{ }"):
            await pen.append("x", ["topic:a"], payload)
        await pen.append("session.revoked", ["inbox:1"], b"{}")
        await pen.append("x", ["topic:a"], {"n": 5})
        await pen.number()
        await client.events("topic:a", 5)
        assert [e["type"] for e in topic.events] == ["undecodable"] * 3 + ["x", "x"]
        assert not house.fatal


async def test_a_redacted_entry_is_replayed_without_its_words(house: House, pen: Pen) -> None:
    page = cursor(await pen.cursor())
    await pen.write("comment.created", ["post:1"], {"comment": {"body": "secret"}})
    await house.reached(1)
    await pen.redact(1)
    await house.reached(2)
    async with LiveClient(house.url) as client:
        post = await client.subscribe("post:1", page)
        assert [(e["type"], "comment" in e) for e in post.events] == [(ring.REDACTED, False)]
        assert b"secret" not in msgspec.json.encode(client.frames)


async def test_cookies_mean_nothing_to_the_socket(house: House, pen: Pen) -> None:
    account, session = await pen.member()
    async with LiveClient(house.url) as client:
        assert client.welcome["expires_in"] is None
    cookie = token(account, session, kind="cookie")
    async with websockets.connect(
        house.url, subprotocols=[websockets.Subprotocol("chorus.v1")], additional_headers={"Cookie": f"chorus={cookie}"}
    ) as socket:
        await socket.send('{"type":"hello"}')
        assert msgspec.json.decode(await socket.recv())["expires_in"] is None
