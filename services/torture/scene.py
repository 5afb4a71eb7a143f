"""What a fault is given: the stage, the crowd, and the means to prove that it happened."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import ClassVar, NamedTuple

from redis.exceptions import RedisError

from services.torture.book import Book
from services.torture.client import Client
from services.torture.generator import Generator
from services.torture.ledger import Ledger
from services.torture.oracle import Oracle
from services.torture.stage import AWAY, Stage

PATIENCE = 120.0
"""Seconds until a fault must have taken hold; never what is asserted."""


class Scene(NamedTuple):
    """Everything there is."""

    stage: Stage
    ledger: Ledger
    generator: Generator
    clients: list[Client]
    oracle: Oracle
    book: Book
    burst: int
    """Sockets that may be opened at once beside the clients."""


class Fault:
    """One fault: injected, held for a while, healed. `evidence` is empty until it is proven to have fired.

    Two faults that touch the same part never run together; those that don't are combined at random. `hold` is the
    least and the most seconds between injecting and healing, `long_hold` how long it is the first time in a long run.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    touches: ClassVar[frozenset[str]]
    hold: ClassVar[tuple[float, float]] = (0.2, 1.0)
    long_hold: ClassVar[float | None] = None
    loses_history: ClassVar[bool] = False
    """Whether Postgres loses what it had committed: the one reason for a new epoch, and for a client to fetch again."""

    def __init__(self, scene: Scene, rng: random.Random) -> None:
        self.scene = scene
        self.rng = rng
        self.evidence = ""
        self.measured: dict[str, float] = {}

    async def inject(self) -> None:
        """It happens. Sets `evidence` if it can be told by now."""

    async def heal(self) -> None:
        """It is over, and what it broke runs again."""


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Returns when it has come true. Raises TimeoutError that names it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        with contextlib.suppress(*AWAY, TimeoutError, RedisError):
            if await true():  # servers may be away while we look
                return
        if loop.time() > deadline:
            raise TimeoutError(f"waited {PATIENCE:g} s in vain for: {what}")
        await asyncio.sleep(0.02)
