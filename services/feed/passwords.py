"""Passwords: argon2id, off the event loop, a bounded number at once.

Nobody learns from an answer, or from how long it took, whether a handle exists: without a hash to check, a dummy is.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import TypeVar

import argon2

from services.feed.guessable import guessable
from shared.errors import Busy, Invalid

T = TypeVar("T")

_AT_ONCE = 2
"""Hashes at once: each fills a core and 19 MiB; more would only make requests beside them wait."""
_WAITING = 60
"""Hashes waited for at most, about two seconds' worth; past that we say so."""


class Passwords:
    """Makes and checks hashes, with the least cost that OWASP's Password Storage Cheat Sheet gives for argon2id."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._queued = 0
        self._dummy = self._hasher.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """A salted hash. Raises Busy when too many wait."""
        return await self._run(lambda: self._hasher.hash(password))

    async def choose(self, password: str, about: Iterable[str]) -> str:
        """A salted hash of a new password; `about` is what it may not be made of: handle, name, address.

        Raises Invalid (`common_password`) for one that is guessed first, and Busy when too many wait.
        """
        faults = await self._run(lambda: guessable(password, about))
        if faults:
            raise Invalid(errors=faults)
        return await self.hash(password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether `password` made `stored`; without a stored one the same work is done, and it never does."""
        right = await self._run(lambda: self._verify(stored or self._dummy, password))
        return right and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._queued >= _WAITING:
            raise Busy("Too many people are signing in.", retry_after=2)
        self._queued += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._queued -= 1
