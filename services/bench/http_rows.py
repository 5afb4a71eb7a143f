"""The HTTP rows: one feed process under 16 keep-alive connections, beside what the same server and SQL could do."""

import time
from http.client import HTTPConnection
from typing import Any, NamedTuple

import msgspec

from services.bench.bench import Bench, cpu_note
from services.bench.figures import Criterion, Figure, middle
from services.bench.limits import Constant, getting, posting
from services.bench.machine import CpuMeter
from services.bench.replay import CLIENTS, Replay, per_second, replay_of
from services.bench.stack import NotUp
from services.bench.statements import Statement, logged
from services.bench.tools import Report

BODY = (
    "Slept badly and still went out for the early walk; the river was flat and grey and two herons stood in it as if "
    "they had been paid. I keep telling myself that showing up is the whole exercise. "
)
"""About as long as people write; each author adds their own topic."""

PAGE_OF = 20


class Member(NamedTuple):
    """An author of the load, with a topic of their own: sixteen writers in one topic would queue at its counts."""

    token: str
    topic: str

    def post(self) -> dict[str, Any]:
        """What they write."""
        return {"body": f"{BODY}#{self.topic}", "topics": [self.topic]}


class Feed:
    """The feed as a client reaches it for preparing the rows."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.port = bench.stack.ports["feed"]

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            connection.request(method, path, msgspec.json.encode(body) if body is not None else None, headers)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def made(self, path: str, body: object, token: str = "") -> dict[str, Any]:
        """The entity of a 201. Raises NotUp with the problem otherwise."""
        status, _, content = self.ask("POST", path, body, token)
        if status != 201:
            raise NotUp(f"POST {path} answered {status}: {content[:300].decode(errors='replace')}")
        entity: dict[str, Any] = msgspec.json.decode(content)
        return entity

    def members(self) -> list[Member]:
        """Sixteen new accounts, each with a topic that exists and PAGE_OF posts in it."""
        mark = time.time_ns() // 1_000_000 % 10**9
        found = []
        for number in range(CLIENTS):
            account = {"handle": f"b{mark}x{number}", "display_name": f"Bench {number}", "password": "bench it 12345"}
            member = Member(self.made("/v1/accounts", account)["token"], f"bench{mark}x{number}")
            for _ in range(PAGE_OF + 1 if number == 0 else 1):
                self.made("/v1/posts", member.post(), member.token)
            found.append(member)
        return found

    def load(self, requests: list[bytes], port: int | None = None) -> Report:
        """What the generator saw over CLIENTS connections for the row's seconds."""
        seconds = self.bench.size.seconds
        file = self.bench.file("requests", b"\0".join(requests))
        return self.bench.tools.run("load", port or self.port, CLIENTS, seconds, str(file), timeout=seconds + 60)


def rate_of(report: Report, status: int) -> float:
    """Answers a second. Raises NotUp when any answer was another one: such a rate would mean nothing."""
    if set(report["status"]) != {str(status)}:
        raise NotUp(f"answers by status {report['status']}, wanted {status} alone; first: {report['sample'][-300:]}")
    return float(report["answers"] / report["seconds"])


def row_get(bench: Bench) -> Figure:
    """A guest's topic page, in full and as a 304, beside a constant of equal size."""
    bench.stack.services("sequencer", "notify", "feed")
    feed = Feed(bench)
    path = f"/v1/topics/{feed.members()[0].topic}/posts?limit={PAGE_OF}"
    bench.stack.settle()
    time.sleep(1)  # a page may come from memory once the tail has met the head
    status, headers, body = feed.ask("GET", path)
    if status != 200 or len(msgspec.json.decode(body)["items"]) != PAGE_OF:
        raise NotUp(f"GET {path} answered {status} with {len(body)} bytes")
    whole, unchanged = getting(feed.port, path), getting(feed.port, path, If_None_Match=headers["etag"])
    rates: dict[str, list[float]] = {"constant": [], "200": [], "304": []}
    with Constant(bench, len(body)) as constant:
        for _ in range(bench.runs):
            report = feed.load([getting(constant.port, "/constant")], constant.port)
            rates["constant"].append(rate_of(report, 200))
            meter = CpuMeter(bench.stack.pids())
            meter.start()
            report = feed.load([whole])
            shares = meter.shares(report["seconds"] + 0.5)
            rates["200"].append(rate_of(report, 200))
            rates["304"].append(rate_of(feed.load([unchanged]), 304))
    limit = middle(rates["constant"]) or 0.0
    return Figure(
        row="get",
        title=f"GET a topic page, {PAGE_OF} posts, {len(body):,} bytes, guest",
        criteria=(_share("200", 70, rates["200"], limit), _share("304", 90, rates["304"], limit)),
        limit=f"a Litestar constant of equal size: {limit:,.0f}/s",
        notes=(
            f"200: {middle(rates['200']):,.0f}/s, 304: {middle(rates['304']):,.0f}/s",
            cpu_note(shares, {"generator": 100 * report["cpu"] / report["seconds"]}),
        ),
    )


def _share(name: str, target: float, rates: list[float], limit: float) -> Criterion:
    ours = middle(rates)
    share = None if ours is None or not limit else 100 * ours / limit
    return Criterion(name=f"{name}, of the limit", unit="%", better="more", target=target, ours=share)


def row_post(bench: Bench) -> Figure:
    """Posts a second of one feed process beside the same SQL from pgbench, in turn."""
    bench.stack.services("sequencer", "notify", "feed")
    feed = Feed(bench)
    members = feed.members()
    replays = recorded(bench, feed, members)
    requests = [posting(feed.port, "/v1/posts", member.token, member.post()) for member in members]
    limits, ours = [], []
    for _ in range(bench.runs):
        rate, asker = per_second(bench, replays, bench.size.seconds)
        limits.append(rate)
        bench.stack.settle()
        meter = CpuMeter(bench.stack.pids())
        meter.start()
        report = feed.load(requests)
        shares = meter.shares(report["seconds"] + 0.5)
        ours.append(rate_of(report, 201))
        bench.stack.settle()
    limit = middle(limits) or 0.0
    sql = replays[0].statements
    return Figure(
        row="post",
        title="POST /v1/posts, one process, 16 connections",
        criteria=(_share("201", 60, ours, limit),),
        limit=f"the same SQL by {asker}: {limit:,.0f}/s",
        notes=(
            f"{middle(ours):,.0f}/s, p50 {report['p50_ms']:.1f} ms, p99 {report['p99_ms']:.1f} ms; "
            f"{len(sql)} statements a post",
            cpu_note(shares, {"generator": 100 * report["cpu"] / report["seconds"]}),
        ),
    )


def recorded(bench: Bench, feed: Feed, members: list[Member]) -> list[Replay]:
    """What the feed asks Postgres for one post of each member, without what it asks while idle."""
    with logged(bench.stack) as idle:
        time.sleep(1.5)
    replays = []
    for member in members:
        with logged(bench.stack) as seen:
            post = feed.made("/v1/posts", member.post(), member.token)
        statements = _of_request(seen, {one.sql for one in idle})
        if not statements:
            raise NotUp("the log of Postgres shows no statement of a post")
        replays.append(replay_of(bench, statements, post["id"]))
    return replays


def _of_request(seen: list[Statement], idle: set[str]) -> list[Statement]:
    return [one for one in seen if one.role == "chorus_feed" and one.sql not in idle]
