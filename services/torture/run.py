"""One run: the stage, the community, the crowd, and the plan's rounds until time and deck are through."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from statistics import quantiles
from typing import NamedTuple

from services.bench.machine import open_files, raise_open_files
from services.torture import plan
from services.torture.book import Book
from services.torture.client import Client
from services.torture.faults.days import lay_old_days
from services.torture.generator import Generator
from services.torture.home import Home
from services.torture.ledger import Ledger
from services.torture.members import GaveUp, Member
from services.torture.oracle import Oracle
from services.torture.process import Died
from services.torture.report import Fired, Report
from services.torture.scene import Fault, Scene, until
from services.torture.stage import NOTIFIES, Stage

Say = Callable[[str], None]

MEMBERS = 20
WARM = 80
"""Things written before the first fault: an empty log would hide most of them."""
LOOK_EVERY = 6
"""Rounds from one quiescence point to the next."""
LONG = 300.0
"""Seconds from which a run is long: what has a `long_hold` is held for that the first time."""
BURST, SHORT_BURST = 5000, 400
"""Sockets that come back at once in a long run, and in a short one: two cores make some 500 handshakes a second."""
OTHER_FILES = 400
"""Files that this process holds beside its sockets, at most about."""
PROXIED = 0.25
"""Share of the clients that reach notify through a proxy, where sockets can be tortured."""


class Options(NamedTuple):
    """What is asked for. `rate` is things written a second; `deal`: every fault happens at least once."""

    seed: str
    seconds: float
    faults: Sequence[type[Fault]]
    clients: int = 200
    rate: float = 30.0
    keep: bool = False
    deal: bool = True


async def torture(options: Options, say: Say) -> Report:
    """Runs it, cleans up, and says what was found. Raises EngineUnavailable."""
    if (too_few := raise_open_files()) is not None:
        say(too_few)
    rng = random.Random(options.seed)  # noqa: S311
    logs, sequencers = rng.choice((1, 1, 2)), 2
    report = Report(seed=options.seed, logs=logs, sequencers=sequencers, clients=options.clients)
    stage = Stage(sequencers=sequencers, logs=logs, keep=options.keep)
    began = time.monotonic()
    try:
        say(f"seed {options.seed}: {sequencers} sequencers, {logs} logs, in {stage.folder}")
        await stage.start()
        await lay_old_days(stage)
        await _community(stage, options, report, say, began)
    except (GaveUp, Died, TimeoutError, ExceptionGroup) as error:
        report.wrong += _causes(error)
    finally:
        report.seconds = time.monotonic() - began
        report.memory_mb = {name: seen.peak for name, (_, seen) in stage.memory().items()}
        report.grown_mb = {name: seen.grown for name, (_, seen) in stage.memory().items()}
        await stage.stop(keep_logs=bool(report.wrong))
        report.kept = str(stage.folder) if stage.folder.exists() else ""
    return report


async def _community(stage: Stage, options: Options, report: Report, say: Say, began: float) -> None:
    feed = stage.http["feed"]
    members = [
        Member(feed, f"member{number}", random.Random(f"{options.seed}/m{number}"))  # noqa: S311
        for number in range(MEMBERS)
    ]
    await asyncio.gather(*(member.sign_up() for member in members))
    await stage.fetch("update feed.account set role = 'moderator'")  # they publish stories at once
    generator = Generator(feed, stage.http["notify-1"], members, options.seed, options.rate)
    book = Book()
    clients = _crowd(stage, generator, options, book)
    ledger = Ledger(stage)
    await ledger.rows()  # before retention takes the first of them
    oracle = Oracle(stage, ledger, generator, clients, options.seed)
    room = max(open_files() - OTHER_FILES - options.clients, 10)
    burst = min(room, BURST if options.seconds >= LONG else SHORT_BURST)
    scene = Scene(stage, ledger, generator, clients, oracle, book, burst)
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(generator.run(), name="generator")]
            generator.go()
            await _written(generator, WARM)
            for client in clients:
                _choose(client, generator)
                background.append(tasks.create_task(client.run(), name=client.name))
            background.append(tasks.create_task(_wander(clients, generator, options.seed)))
            await _rounds(scene, options, report, say, began)
            for task in background:
                task.cancel()
    finally:
        _tell(report, scene)


async def _rounds(scene: Scene, options: Options, report: Report, say: Say, began: float) -> None:
    book = scene.book
    least = plan.first_deal(options.seed, options.faults) if options.deal else 1
    lasting = {kind: kind.long_hold for kind in options.faults if kind.long_hold and options.seconds >= LONG}
    for number, hand in enumerate(plan.rounds(options.seed, options.faults)):
        if number >= least and time.monotonic() - began > options.seconds:
            break
        faults = [kind(scene, random.Random(f"{options.seed}/{number}/{kind.name}")) for kind in hand]  # noqa: S311
        say(f"{time.monotonic() - began:6.1f} s, round {number}: {', '.join(kind.name for kind in hand)}")
        book.epoch = None if any(kind.loses_history for kind in hand) else await _epoch(scene)
        holds = [lasting.pop(type(fault), 0.0) or fault.rng.uniform(*fault.hold) for fault in faults]
        for fault, told in zip(faults, await asyncio.gather(*map(_play, faults, holds)), strict=True):
            at = round(time.monotonic() - began, 1)
            report.fired.append(
                Fired(
                    fault=fault.name,
                    family=fault.family,
                    round=number,
                    at=at,
                    evidence=fault.evidence,
                    measured=fault.measured,
                )
            )
            report.wrong += [unproven(fault, told, number)] if unproven(fault, told, number) else []
        if book.epoch is not None and (now := await _epoch(scene)) != book.epoch:
            report.wrong.append(f"round {number}: from epoch {book.epoch} to {now}, and Postgres lost nothing more")
        if number % LOOK_EVERY == LOOK_EVERY - 1:
            await _look(scene, report, say)
        if report.wrong:
            return
    await _look(scene, report, say)


async def _epoch(scene: Scene) -> int:
    found: list[int] = []

    async def told() -> bool:
        found.append((await scene.ledger.heads()).epoch)
        return True

    await until(told, "the log's epoch")
    return found[-1]


def unproven(fault: Fault, told: str, number: int) -> str:
    """Why a fault of that round does not count; empty when it has fired. `told`: what went wrong with it."""
    return f"round {number}, {fault.name}: {told or 'no evidence that it fired'}" if told or not fault.evidence else ""


async def _play(fault: Fault, hold: float) -> str:
    """Injects, holds, heals; what went wrong with the fault itself."""
    try:
        await asyncio.sleep(fault.rng.uniform(0, 0.4))
        await fault.inject()
        await asyncio.sleep(hold)
    except Exception as error:
        with contextlib.suppress(Exception):
            await fault.heal()
        return f"could not be injected: {error!r}"
    try:
        await fault.heal()
    except Exception as error:
        return f"could not be healed: {error!r}"
    return ""


async def _look(scene: Scene, report: Report, say: Say) -> None:
    began = time.monotonic()
    await scene.stage.all_ready()
    await scene.generator.pause()
    report.wrong += await scene.oracle.look()
    scene.generator.go()
    say(f"  looked, {time.monotonic() - began:.1f} s: {len(report.wrong)} wrong")


def _crowd(stage: Stage, generator: Generator, options: Options, book: Book) -> list[Client]:
    rng = random.Random(f"{options.seed}/crowd")  # noqa: S311
    clients = []
    for number in range(options.clients):
        at, proxied = rng.randrange(NOTIFIES), rng.random() < PROXIED
        member = rng.choice(generator.members) if rng.random() < 0.6 else None
        door = partial(stage.live_url, at, through_proxy=proxied)
        notify = stage.http[f"notify-{at + 1}"]
        client = Client(f"client-{number}", door, stage.http["feed"], notify, member, options.seed, book)
        client.at, client.proxied = at, proxied
        clients.append(client)
    return clients


def _choose(client: Client, generator: Generator) -> None:
    """What a page would follow: mostly a topic, a post or two, the inbox; or home; or a person."""
    rng, truth = client.rng, generator.truth
    if client.member is not None:
        client.wanted.add(f"inbox:{client.member.id}")
    if client.member is not None and rng.random() < 0.25:
        client.home = Home(client.name)
    else:
        client.wanted.add(f"topic:{rng.choice(sorted(truth.topics))}")
    client.wanted |= {f"post:{post.id}" for post in rng.sample(truth.standing()[-25:], rng.randrange(3))}
    if rng.random() < 0.2:
        client.wanted.add(f"member:{rng.choice(generator.members).id}")


async def _wander(clients: list[Client], generator: Generator, seed: str) -> None:
    """People open another post now and then."""
    rng = random.Random(f"{seed}/wander")  # noqa: S311
    while True:
        await asyncio.sleep(rng.expovariate(len(clients) / 20))
        client = rng.choice(clients)
        open_posts = sorted(channel for channel in client.subscriptions if channel.startswith("post:"))
        if open_posts:
            await client.leave(rng.choice(open_posts))
        if standing := generator.truth.standing():
            client.follow(f"post:{rng.choice(standing[-25:]).id}")


async def _written(generator: Generator, number: int) -> None:
    while generator.made.total() < number:  # noqa: ASYNC110 - a warm-up, nothing waits for it
        await asyncio.sleep(0.05)


def _tell(report: Report, scene: Scene) -> None:
    book = scene.book
    report.wrong += scene.oracle.standing() + book.wrong
    report.may_grow_mb = scene.oracle.bounds()
    report.written = dict(scene.generator.made)
    report.looked = dict(scene.oracle.looks)
    report.seen = {**book.counts, "connections": sum(client.connections for client in scene.clients)}
    report.closes = {str(code): number for code, number in sorted(book.closes.items())}
    report.resets = dict(book.resets)
    statuses = sum((http.statuses for http in scene.stage.http.values()), Counter())
    report.statuses = {str(status): number for status, number in sorted(statuses.items())}
    report.latency_ms = spread([seconds for _, seconds in book.latencies])


def spread(seconds: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and most, in milliseconds."""
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=100)
    named = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "most": max(seconds)}
    return {name: each * 1000 for name, each in named.items()}


def _causes(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for each in error.exceptions for cause in _causes(each)]
    return [f"the run broke: {error!r}"]
