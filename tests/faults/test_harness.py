"""The harness's own parts: a proof that holds to the vectors, a plan that is its seed's, an oracle that sees."""

import asyncio
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.torture import memory, plan
from services.torture.book import Book
from services.torture.chain import Chain
from services.torture.faults import ALL
from services.torture.http import Http, Unreached
from services.torture.ledger import Heads, Row, by_channel, judge
from services.torture.lives import Life
from services.torture.memory import Growth, Weight
from services.torture.process import Service
from services.torture.stage import STREAM, stream_end
from shared.redis_client import open_redis

CASES = msgspec.json.decode((Path(__file__).parents[1] / "vectors" / "proof.json").read_bytes())
HEADS = Heads(7, (9,))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_the_chain_reads_the_protocol_as_everybody_does(case: dict[str, Any]) -> None:
    chain = Chain(case["channel"])
    for step in case["steps"]:
        if "send" in step:
            since = step["send"]["since"]
            chain.asked(step["send"]["id"], None if since is None else {"epoch": 7, "seq": since})
        else:
            assert chain.take(step["frame"]) == step["does"]
        assert (chain.mine, chain.state) == (step["mine"], step["state"])


def test_the_same_seed_deals_the_same_rounds() -> None:
    kinds = list(ALL.values())
    first, again, other = (list(itertools.islice(plan.rounds(seed, kinds), 40)) for seed in ("a", "a", "b"))
    assert first == again != other


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_the_first_deal_has_every_fault_once_and_nothing_together_that_touches_the_same(seed: str) -> None:
    kinds = list(ALL.values())
    dealt = list(itertools.islice(plan.rounds(seed, kinds), plan.first_deal(seed, kinds)))
    assert sorted(kind.name for hand in dealt for kind in hand) == sorted(ALL)
    for hand in dealt:
        assert not any(a.touches & b.touches for a, b in itertools.combinations(hand, 2))


def test_every_fault_has_a_name_a_family_and_a_word_on_it() -> None:
    for name, fault in ALL.items():
        assert fault.name == name
        assert fault.family
        assert fault.touches
        assert fault.__doc__


def test_who_is_just_starting_survives_news_of_the_clock(tmp_path: Path) -> None:
    """Found by `chorus torture`, seed c1: a signal that nobody listens to yet ends a process."""
    service = Service("starting", "sequencer", {}, tmp_path, 0)
    service.launch()
    try:
        service.set_clock(3600)
        environment = Path(f"/proc/{service.pid}/environ")
        while service.running and not (told := environment.read_bytes()):
            time.sleep(0.01)  # it is about to become what it will be
        assert told.count(f"CHORUS_CLOCK_FILE={service.clock}".encode()) == 1
        deadline = time.monotonic() + 30
        while service.running and time.monotonic() < deadline:
            time.sleep(0.05)
        assert service.exit_code == 2, service.tail()  # no database is named, and it lived to say so
    finally:
        service.end()


def test_a_log_says_what_it_knows_of_one_request(tmp_path: Path) -> None:
    service = Service("feed", "feed", {}, tmp_path, 0)
    assert service.said_of("a1b2") == []
    service.log.write_text('{"request_id": "a1b2", "n": 1}\n{"request_id": "ffff"}\n{"request_id": "a1b2", "n": 2}\n')
    assert service.said_of("a1b2") == ['{"request_id": "a1b2", "n": 1}', '{"request_id": "a1b2", "n": 2}']


async def test_a_kept_connection_that_closes_as_it_is_used_is_no_outage() -> None:
    """Found by `chorus torture`, seed long-2: a burst was not injected, for the server had hung up on `/metrics`."""
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for answered in (True, False):
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            if answered:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        http = Http(*server.sockets[0].getsockname())
        assert (await http.look("/metrics")).body == "ok"
        assert (await http.look("/metrics")).body == "ok"
        assert requests == 3
        server.close()
        await http.aclose()
        with pytest.raises(Unreached):
            await http.look("/metrics")


def test_memory_that_a_process_takes_after_it_is_up_is_seen_and_what_it_had_before_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "SETTLED", 0.0)
    said = "print(flush=True); input()"
    takes = f"held = [b'x' * 60_000_000]; {said}; held.append(b'y' * 90_000_000); {said}"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", takes], stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        growth = Growth()
        child.stdout.readline()
        growth.look(child.pid)
        growth.look(child.pid)
        assert growth.peak > 60
        assert growth.grown < 10
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        growth.look(child.pid)
        assert 80 < growth.grown < 110
        child.stdin.write("\n")


def test_what_the_largest_of_a_server_s_processes_holds_for_itself_is_seen() -> None:
    pipe = subprocess.PIPE
    for megabytes in (60, 20):
        takes = f"held = [b'x' * {megabytes}_000_000]; print(flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", takes], stdin=pipe, stdout=pipe) as child:
            assert child.stdout is not None
            child.stdout.readline()
            growth = Growth()
            growth.found(memory.largest_child(os.getpid()))
            growth.found(0.0)
            assert megabytes < growth.grown == growth.peak
            child.communicate(b"\n")
    assert memory.largest_child(child.pid) == 0.0


def test_what_a_process_may_take_follows_what_it_can_hold() -> None:
    log, longer = Weight(10_000, 5_000_000, 20_000), Weight(10_000_000, 5_000_000_000, 20_000)
    for role in ("notify", "feed", "sequencer", "redis", "backend"):
        assert memory.may_grow(role, log, 0) > memory.may_grow("postgres", log, 0) == memory.SLACK
    assert memory.may_grow("notify", log, 1000) - memory.may_grow("notify", log, 0) == pytest.approx(
        1000 * memory.SOCKET / 1e6
    )
    assert memory.may_grow("notify", longer, 0) == pytest.approx(memory.SLACK + 2 * memory.RING * 1500 / 1e6)


def row(seq: int, kind: str = "comment.created", payload: bytes = b"{}") -> Row:
    return Row(seq, str(100 + seq), kind, frozenset({"post:1"}), payload)


def life(*seqs: int) -> Life:
    followed = Life("a client", "post:1", {"epoch": 7, "seq": [1]})
    for seq in seqs:
        event = {"id": str(100 + seq), "type": "comment.created", "comment": {"id": str(seq), "version": 1}}
        followed.apply({"log": 0, "seq": seq, "event": event})
    followed.end = [9]
    return followed


def test_a_whole_life_is_in_order() -> None:
    assert judge(life(3, 5), by_channel([[row(1), row(3), row(5)]]), HEADS) == ""


def test_an_event_that_a_client_missed_is_seen() -> None:
    assert "missed 3" in judge(life(5), by_channel([[row(3), row(5)]]), HEADS)


def test_an_event_that_the_log_does_not_have_is_seen() -> None:
    assert "does not have" in judge(life(3, 4), by_channel([[row(3)]]), HEADS)


def test_another_event_at_the_same_position_is_seen() -> None:
    other = row(3)._replace(event_id="7")
    assert "the log has 7" in judge(life(3), by_channel([[other]]), HEADS)


def test_counts_may_be_missing_where_newer_ones_follow_and_nowhere_else() -> None:
    counts = b'{"post_id":"1","counts":{}}'
    older, newer = row(3, "counts.changed", counts), row(5, "counts.changed", counts)
    assert judge(life(5), by_channel([[older, newer]]), HEADS) == ""
    assert "missed 5" in judge(life(3), by_channel([[older, newer]]), HEADS)


def test_a_version_that_does_not_grow_and_an_event_that_comes_twice_are_seen() -> None:
    followed = life(3)
    event = {"id": "103", "type": "comment.edited", "comment": {"id": "3", "version": 1}}
    followed.apply({"log": 0, "seq": 4, "event": event})
    assert len(followed.wrong) == 2


@pytest.mark.parametrize(
    ("reason", "epoch", "now", "wrong"),
    [
        ("epoch", 7, 8, False),  # what it held was lost
        ("epoch", 7, None, False),  # it is being lost
        ("epoch", None, 8, False),  # it held nothing
        ("epoch", 8, 8, True),
        ("too_old", 8, 8, True),
        ("reloaded", 7, 8, True),
    ],
)
def test_lost_history_is_the_one_reason_to_fetch_again(
    reason: str, epoch: int | None, now: int | None, wrong: bool
) -> None:
    book = Book()
    book.epoch = now
    book.reset("someone", {"type": "reset", "channel": "post:1", "reason": reason}, epoch)
    assert (bool(book.wrong), book.resets[reason]) == (wrong, 1)


async def test_a_redis_that_is_new_has_no_stream_yet(redis_url: str) -> None:
    """Seed plain: redis-down had emptied it, and postgres-crashed asked before the sequencer came to it."""
    async with open_redis(redis_url) as redis:
        assert await stream_end(redis) == ""
        await redis.xadd(STREAM, {"x": "y"}, "7-1")
        assert await stream_end(redis) == "7-1"
