"""The inbox's door in a test: its app as a client reaches it, and members who may pass."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
from litestar import Litestar
from litestar.datastructures import State

from services.notify.inbox.api import cors, inbox_routes
from services.notify.settings import NotifySettings
from shared.auth import Kind, issue
from shared.ids import new_id
from shared.postgres import Pool
from shared.web import EXCEPTION_HANDLERS, RequestContext
from tests.notify.inbox.community import Community, Member

SECRET = "a secret for tests alone, thirty-two long"
ORIGIN = "https://page.example"


@asynccontextmanager
async def open_door(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the inbox on this pool."""
    settings = NotifySettings(secret_key=SECRET, allowed_origins=(ORIGIN,))
    app = Litestar(
        inbox_routes,
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=cors(settings),
        state=State({"pool": pool, "settings": settings, "wake": lambda: None}),
        openapi_config=None,
    )
    transport = httpx.ASGITransport(RequestContext(app, "notify"))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://notify") as client:
        yield client


async def sign_in(
    community: Community, member: Member, kind: Kind = "access", *, ends: timedelta = timedelta(days=1)
) -> dict[str, str]:
    """Headers of a fresh session."""
    session = new_id()
    now = datetime.now(UTC)
    await community.feed.execute(
        "insert into feed.session (id, account_id, kind, created_at, expires_at) values ($1, $2, 'token', $3, $4)",
        session,
        member.id,
        now,
        now + ends,
    )
    token = issue(SECRET, kind, account_id=member.id, session_id=session, ttl=60)
    return {"Authorization": f"Bearer {token}"}
