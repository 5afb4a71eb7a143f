"""Tokens to members, for the socket: the signature at once, the session's state in one query for all who ask together.

A thousand pages that come back in the same second cost a handful of queries. From hello on the log tells of
revocations, so the asker enters the hub before asking.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.notify.live.codes import Close
from services.notify.live.session import Ended
from shared.auth import Principal, verify
from shared.errors import NotSignedIn
from shared.postgres import Pool, acquire, load_queries
from shared.telemetry import get_logger

log = get_logger(__name__)

queries = load_queries(Path(__file__).parent.parent / "sql" / "live.sql")


class Credentials:
    """Who holds a token, and whether their session stands."""

    def __init__(self, pool: Pool, secret: str) -> None:
        self._pool = pool
        self._secret = secret
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._task: asyncio.Task[None] | None = None

    def read(self, token: str) -> Principal:
        """Whom a bearer token or a ticket names. Raises Ended (4500)."""
        try:
            return verify(self._secret, token, kinds=("access", "ticket"))
        except NotSignedIn:
            raise Ended(Close.BAD_CREDENTIALS) from None

    async def check(self, principal: Principal) -> None:
        """Returns when the session stands. Raises Ended: 4503 revoked, 4500 over or unknown, 4005 no answer."""
        future = self._asked.get(principal.session_id)
        if future is None:
            future = self._asked[principal.session_id] = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._ask())
        row = await asyncio.shield(future)
        if row is _NO_ANSWER:
            raise Ended(Close.NOT_NOW)
        if row is None or row["account_id"] != principal.account_id:
            raise Ended(Close.BAD_CREDENTIALS)
        if row["revoked"]:
            raise Ended(Close.REVOKED)
        if row["expires_at"] <= datetime.now(UTC):
            raise Ended(Close.BAD_CREDENTIALS)

    async def close(self) -> None:
        """Stops asking. Safe twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            found: dict[int, Any] | None = None
            try:
                async with acquire(self._pool) as connection:
                    rows = [row async for row in queries.sessions_known(connection, ids=list(asked))]
                found = {row["id"]: row for row in rows}
            except Exception as error:
                log.warning("sessions_unknown", error=repr(error))
            finally:
                for session_id, future in asked.items():
                    if not future.done():
                        future.set_result(_NO_ANSWER if found is None else found.get(session_id))
        self._task = None


_NO_ANSWER = object()
