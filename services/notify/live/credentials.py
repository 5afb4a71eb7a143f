"""Tokens to members, for the socket: the signature at once, the session's state in one query for all who ask together.

A thousand pages that come back in the same second cost a handful of queries. From hello on the log tells of
revocations, so the asker enters the hub before asking.
"""

import asyncio
from collections.abc import Mapping

from services.notify.identity import Known, known_sessions, standing
from services.notify.live.codes import Close
from services.notify.live.session import Ended
from shared import clock
from shared.auth import Principal, verify
from shared.errors import NotSignedIn
from shared.postgres import Pool
from shared.telemetry import get_logger

log = get_logger(__name__)

Answer = Mapping[int, Known] | None
"""The sessions that exist among those asked for; None when Postgres gave no answer."""


class Credentials:
    """Who holds a token, and whether their session stands."""

    def __init__(self, pool: Pool, secret: str) -> None:
        self._pool = pool
        self._secret = secret
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._task: asyncio.Task[None] | None = None

    def read(self, token: str) -> Principal:
        """Whom a bearer token or a ticket names. Raises Ended (4500)."""
        try:
            return verify(self._secret, token, kinds=("access", "ticket"))
        except NotSignedIn:
            raise Ended(Close.BAD_CREDENTIALS) from None

    async def check(self, principal: Principal) -> Known:
        """The session, which stands. Raises Ended: 4503 revoked, 4500 over or unknown, 4005 no answer."""
        future = self._asked.get(principal.session_id)
        if future is None:
            future = self._asked[principal.session_id] = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._ask())
        known = await asyncio.shield(future)
        if known is None:
            raise Ended(Close.NOT_NOW)
        found = standing(principal, known, clock.now())
        if found != "stands":
            raise Ended(Close.REVOKED if found == "revoked" else Close.BAD_CREDENTIALS)
        return known[principal.session_id]

    async def close(self) -> None:
        """Stops asking. Safe twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            found: Answer = None
            try:
                found = await known_sessions(self._pool, asked)
            except Exception as error:
                log.warning("sessions_unknown", error=repr(error))
            finally:
                for future in asked.values():
                    if not future.done():
                        future.set_result(found)
        self._task = None
