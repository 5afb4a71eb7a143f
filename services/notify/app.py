"""Composition root of the notify process: the only place where its objects meet.

Acquired here and released in reverse: Postgres, Redis, the follower of the logs, the notifier. A task that breaks ends
the process (`on_fatal`): its supervisor starts a whole one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, Router, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from redis.asyncio import Redis

from services.notify import asyncapi
from services.notify.delivery.carriers import carrier
from services.notify.delivery.postman import Postman
from services.notify.inbox import housekeeping
from services.notify.inbox.api import ReadRequest, cors, inbox_routes
from services.notify.inbox.document import completed
from services.notify.inbox.notifier import Notifier, handled
from services.notify.live import gauges
from services.notify.live.codes import MARK_INTERVAL, Close
from services.notify.live.connection import Timing
from services.notify.live.credentials import Credentials
from services.notify.live.follower import Follower
from services.notify.live.gateway import Gateway
from services.notify.live.generation import Generation
from services.notify.live.home import queries as live_queries
from services.notify.settings import NotifySettings
from shared import clock
from shared.background import OnFatal, running
from shared.docs import HEADERS, calls_page, errors_page
from shared.errors import NotFound
from shared.eventlog.waker import Waker
from shared.postgres import POSTGRES_AWAY, Pool, acquire, open_pool
from shared.redis_client import open_redis
from shared.telemetry import get_logger
from shared.web import EXCEPTION_HANDLERS, RequestContext, health_routes

log = get_logger(__name__)

START_TIMEOUT = 30.0
"""Seconds that a start waits for Postgres before it gives up, loudly."""
LIVE_PATH = "/v1/live"
_HTML = "text/html; charset=utf-8"


def _not_found(request: Request[Any, Any, Any]) -> None:
    """Litestar's own pages about the calls load scripts from elsewhere, and answer the unknown in HTML."""
    raise NotFound


_OPENAPI = OpenAPIConfig(
    title="Chorus notify",
    version="1",
    openapi_router=Router("/openapi", route_handlers=[], include_in_schema=False, before_request=_not_found),
    render_plugins=[JsonRenderPlugin()],
    use_handler_docstrings=True,
    components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
)


def _document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return completed(request.app.openapi_schema.to_schema(), read=ReadRequest)


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The document at the place where the feed has its own."""
    return _document(request)


@get("/docs", include_in_schema=False, sync_to_thread=False)
def docs(request: Request[Any, Any, Any]) -> Response[str]:
    """The inbox's calls for people."""
    besides = "The live contract: <a href='asyncapi.json'>asyncapi.json</a>. The feed has documentation of its own."
    return Response(
        calls_page(_document(request), "The inbox's calls", besides), headers=dict(HEADERS), media_type=_HTML
    )


@get("/docs/errors", include_in_schema=False, sync_to_thread=False)
def docs_errors() -> Response[str]:
    """The errors that notify knows, where its problem documents say."""
    return Response(errors_page(), headers=dict(HEADERS), media_type=_HTML)


@get("/asyncapi.json", include_in_schema=False, sync_to_thread=False)
def asyncapi_document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The live contract for machines."""
    settings: NotifySettings = request.app.state.settings
    return asyncapi.document(settings.socket_url())


class Notify:
    """The ASGI application: sockets on LIVE_PATH go to the gateway, everything else to Litestar.

    `on_fatal(error)` is called when a background task broke; the caller ends the process.
    """

    def __init__(
        self,
        settings: NotifySettings,
        *,
        on_fatal: OnFatal,
        timing: Timing | None = None,
        mark_interval: float = MARK_INTERVAL,
    ) -> None:
        self.settings = settings
        self._on_fatal = on_fatal
        self._mark_interval = mark_interval
        self._pool: Pool | None = None
        self._redis: Redis | None = None
        self._follower: Follower | None = None
        timing = timing or Timing()
        timing.ping = settings.ping_interval
        self.gateway = Gateway(settings, self._generation, timing)
        self._web = RequestContext(self._litestar(), "notify")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI. Sockets bypass Litestar: its layers of frames would cost each idle socket several kilobytes."""
        if scope["type"] == "websocket" and scope["path"] == LIVE_PATH:
            await self.gateway(scope, receive, send)
        else:
            await self._web(scope, receive, send)

    async def broken(self) -> dict[str, str]:
        """What is broken, for /readyz."""
        found: dict[str, str] = {}
        if self.gateway.draining:
            found["!draining"] = "This process is leaving."
        found |= self._follower.broken() if self._follower else {"!ring": "Starting."}
        try:
            async with asyncio.timeout(2):
                assert self._pool is not None  # noqa: S101 - opened before the first request
                async with acquire(self._pool) as connection:
                    await live_queries.alive(connection)
        except Exception as error:
            found["!postgres"] = type(error).__name__
        if not await Waker(self._redis).reaches_redis():
            found["redis"] = "Events come from Postgres meanwhile."
        return found

    def _generation(self) -> Generation | None:
        return self._follower.current if self._follower else None

    def _litestar(self) -> Litestar:
        return Litestar(
            route_handlers=[*inbox_routes, openapi, docs, docs_errors, asyncapi_document, *health_routes(self.broken)],
            lifespan=[self._lifespan],
            exception_handlers=EXCEPTION_HANDLERS,
            cors_config=cors(self.settings),
            openapi_config=_OPENAPI,
            logging_config=None,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncIterator[None]:
        settings = self.settings
        async with AsyncExitStack() as stack:
            pool = self._pool = await _patient_pool(settings)
            stack.push_async_callback(_close_pool, pool)
            redis = self._redis = _redis(settings.redis_address())
            if redis is not None:
                stack.push_async_callback(redis.aclose)
            waker = Waker(redis)
            app.state.pool, app.state.settings, app.state.wake = pool, settings, waker.wake
            credentials = self.gateway.credentials = Credentials(pool, settings.secret_key)
            stack.push_async_callback(credentials.close)
            stack.push_async_callback(self.gateway.close)
            self._follower = Follower(
                pool, redis, settings, mark_interval=self._mark_interval, on_retired=self.gateway.retire
            )
            stack.enter_context(gauges.exposed(self._follower, self.gateway, handled))
            await stack.enter_async_context(running("follower", self._follower.run(), self._broke))
            work = {
                "waker": waker.run(),
                "notifier": Notifier(pool, redis, wake=waker.wake).run(),
                "housekeeping": housekeeping.run(pool),
            }
            if redis is not None:
                work["witness"] = self.gateway.witness.run(redis, pool)
            if (taking := carrier(settings.smtp_url, settings.mail_dir)) is not None:
                work["postman"] = Postman(
                    pool,
                    taking,
                    secret=settings.secret_key,
                    page_url=settings.page_url(),
                    mail_from=settings.mail_from,
                ).run()
            for name, each in work.items():
                await stack.enter_async_context(running(name, each, self._broke))
            yield

    def _broke(self, error: BaseException) -> None:
        self.gateway.close_all(Close.INTERNAL)
        self._on_fatal(error)


async def _patient_pool(settings: NotifySettings) -> Pool:
    deadline = clock.monotonic() + START_TIMEOUT
    while True:
        try:
            return await open_pool(
                settings.postgres_for_notify(),
                application_name="chorus-notify",
                min_size=1,
                max_size=settings.notify_pool,
            )
        except POSTGRES_AWAY as error:
            if clock.monotonic() > deadline:
                raise
            log.warning("postgres_awaited", error=repr(error))
            await asyncio.sleep(0.3)


async def _close_pool(pool: Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), 3)
    except TimeoutError:
        pool.terminate()


def _redis(url: str) -> "Redis | None":
    return open_redis(url) if url else None
