"""The feed's composition root: the only place where its objects meet. Acquired in order, released in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp

from services.feed.accounts import Accounts
from services.feed.addresses import Addresses
from services.feed.api import accounts, comments, me, media, meta, pages, posts, reactions, roles, stories, topics
from services.feed.api.context import Context, Limits
from services.feed.api.guests import Guests
from services.feed.comments import Comments
from services.feed.departures import Departures
from services.feed.edits import Edits
from services.feed.follower import Follower
from services.feed.granting import Roles
from services.feed.housekeeping import Housekeeping
from services.feed.images import Darkroom
from services.feed.markdown import Renderer
from services.feed.media import Photos
from services.feed.memory import Memory
from services.feed.passwords import Passwords
from services.feed.posts import Posts
from services.feed.queries import QUERIES
from services.feed.reactions import Reactions
from services.feed.recovery import Recovery
from services.feed.removals import Removals
from services.feed.review import Review
from services.feed.sessions import Sessions
from services.feed.settings import FeedSettings
from services.feed.storage import Storage
from services.feed.stories import Stories
from services.feed.throttle import Throttle
from services.feed.topics import Topics
from shared import disk
from shared.background import OnFatal, running
from shared.eventlog.waker import Waker
from shared.postgres import Pool, open_pool
from shared.redis_client import open_redis
from shared.web import EXCEPTION_HANDLERS, RequestContext, health_routes

BODY_BYTES = 256 * 1024
"""What a JSON body may weigh: 5,000 characters, each written as two escapes of six bytes, and room for the rest."""


def create_app(settings: FeedSettings, *, on_fatal: OnFatal) -> ASGIApp:
    """The feed as an ASGI app; its resources live as long as its lifespan. `on_fatal`: see shared.background."""

    memory = Memory()
    disk.watch(settings.data_dir)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.context = await _open(settings, stack, memory, on_fatal)
            yield

    async def check() -> dict[str, str]:
        return await broken(app.state.get("context"))

    app = Litestar(
        route_handlers=[
            *_routes(),
            *meta.docs_routes(),
            *pages.page_routes(live_url=settings.socket_url(), notify_url=settings.notify_url()),
            *health_routes(check),
        ],
        lifespan=[lifespan],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=BODY_BYTES,
        cors_config=_cors(settings),
        openapi_config=None,
        logging_config=None,
    )
    return Guests(RequestContext(app, "feed"), memory)


def _cors(settings: FeedSettings) -> CORSConfig:
    """Pages of the allowed origins may read what guests see, without cookies; writing is for our own page."""
    return CORSConfig(
        allow_origins=sorted(settings.origins()),
        allow_methods=["GET", "HEAD"],
        allow_headers=["If-None-Match", "X-Request-Id"],
        allow_credentials=False,
        expose_headers=["Chorus-As-Of", "ETag", "Link", "X-Request-Id"],
        max_age=3600,
    )


async def broken(context: Context | None) -> dict[str, str]:
    """What does not work just now; see shared.web.Check."""
    if context is None:
        return {"!start": "The feed has not started."}
    found: dict[str, str] = {}
    try:
        async with context.pool.acquire(timeout=2) as connection:
            await connection.execute("select 1", timeout=2)
    except Exception as error:
        found["!postgres"] = type(error).__name__
    if not await context.waker.reaches_redis():
        found["redis"] = "Wakes are lost; the sequencer looks by itself."
    return found


def _routes() -> list[Any]:
    modules = (accounts, me, topics, posts, comments, reactions, media, stories, roles, meta)
    return [route for module in modules for route in module.ROUTES]


async def _open(settings: FeedSettings, stack: AsyncExitStack, memory: Memory, on_fatal: OnFatal) -> Context:
    pool: Pool = await open_pool(
        settings.database_url, application_name="chorus feed", min_size=2, max_size=settings.feed_pool
    )
    stack.push_async_callback(pool.close)
    redis = open_redis(settings.redis_address()) if settings.redis_url else None
    if redis is not None:
        stack.push_async_callback(redis.aclose)
    waker = Waker(redis)
    storage = Storage.of(settings)
    darkroom = await stack.enter_async_context(Darkroom())
    accounts = Accounts(pool, Passwords())
    departures = Departures(pool, accounts, wake=waker.wake)
    work = {
        "waker": waker.run(),
        "departures": departures.run(),
        "housekeeping": Housekeeping(pool, Removals(pool, storage)).run(),
        "follower": Follower(memory, pool, redis).run(),
    }
    for name, each in work.items():
        await stack.enter_async_context(running(name, each, on_fatal))
    async with pool.acquire() as connection:
        installation: str = await QUERIES.installation(connection)
    renderer = Renderer()
    stories = Stories(pool, renderer)
    secure = settings.page_url().startswith("https://")
    attempts, minutes = settings.sign_in_attempts, 300
    return Context(
        settings=settings,
        pool=pool,
        accounts=accounts,
        sessions=Sessions(pool, settings.secret_key),
        addresses=Addresses(pool, accounts, settings.secret_key),
        recovery=Recovery(pool, accounts, settings.secret_key),
        departures=departures,
        roles=Roles(pool),
        topics=Topics(pool),
        posts=Posts(pool, renderer),
        edits=Edits(pool),
        stories=stories,
        review=Review(pool, stories),
        comments=Comments(pool),
        reactions=Reactions(pool),
        photos=Photos(pool, storage, darkroom),
        limits=Limits(
            sign_ups=Throttle(settings.signups_per_hour, 3600),
            sign_ins=Throttle(attempts, minutes),
            # Many people share an address; a machine that tries many handles is stopped all the same.
            sign_ins_from=Throttle(attempts * 20, minutes),
            letters_to=Throttle(settings.letters_per_hour, 3600),
            links_from=Throttle(attempts * 20, minutes),
            writes=Throttle(settings.writes_per_minute, 60),
        ),
        waker=waker,
        origins=settings.origins(),
        # Ports of one host share cookies, hence the installation; a prefix keeps other hosts from setting it.
        cookie=f"{'__Host-' if secure else ''}chorus-{installation[:8]}",
        secure=secure,
    )
