"""The feed under a real uvicorn in the test's own loop, on a database of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn

from services.embedded import Postgres
from services.feed.app import create_app
from services.feed.archive.importing import Importer
from services.feed.archive.wiring import importer
from services.feed.settings import FeedSettings
from shared.listening import listen
from shared.web_heads import BoundedHeads
from tests.feed.community import Community
from tests.servers import Database, fresh_database

SECRET = "a secret for tests alone, thirty-two long"

Serve = Callable[..., Awaitable[Community]]


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self.listens.set()


async def empty(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    """No row of the feed and no event is left."""
    tables = await owner.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'feed'"
    )
    names = ", ".join([row["name"] for row in tables] + ["eventlog.event", "eventlog.entry"])
    await owner.execute(
        f"truncate {names}; delete from eventlog.tick where after >= 0; "
        "update eventlog.tick set seq = 0, snapshot = pg_current_snapshot()"
    )


@asynccontextmanager
async def serving(settings: FeedSettings) -> AsyncIterator[str]:
    """The feed's address, for the length of the block."""
    door = listen("127.0.0.1", 0)
    broke: list[BaseException] = []
    config = uvicorn.Config(
        create_app(settings, on_fatal=broke.append),
        lifespan="on",
        http=BoundedHeads,
        ws="none",
        loop="none",
        log_config=None,
        access_log=False,
    )
    server = _Server(config)
    task = asyncio.create_task(server._serve([door]))
    try:
        starting = asyncio.create_task(server.listens.wait())
        await asyncio.wait([task, starting], return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), "the feed did not start"
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        assert not broke


@pytest.fixture(scope="session")
def feed_database(postgres_server: Postgres, template: str) -> Iterator[Database]:
    """One database for the tests of the feed: emptying it takes a tenth of what cloning one takes."""
    with fresh_database(postgres_server, template) as database:
        yield database


@pytest.fixture
async def serve(feed_database: Database, tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts a feed with these settings on an empty database; any number of times."""
    database = feed_database
    async with AsyncExitStack() as stack:
        emptied = await asyncpg.connect(database.url_direct)
        stack.push_async_callback(emptied.close)
        await empty(emptied)

        async def start(**settings: object) -> Community:
            given = {
                "database_url": database.url_feed,
                "secret_key": SECRET,
                "data_dir": str(tmp_path),
                "public_url": "http://chorus.test",
                "mail_from": "Chorus <chorus@chorus.test>",
                **settings,
            }
            url = await stack.enter_async_context(serving(FeedSettings(**given)))  # type: ignore[arg-type]
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
            owner = await asyncpg.connect(database.url_direct)
            stack.push_async_callback(owner.close)
            return Community(http, owner)

        yield start


@pytest.fixture
async def community(serve: Serve) -> Community:
    """A feed that runs, and nobody in it."""
    return await serve()


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Any]:
    """A connection in the feed's own role."""
    opened = await asyncpg.connect(database.url_feed)
    yield opened
    await opened.close()


@pytest.fixture
async def ready(database: Database, tmp_path: Path) -> AsyncIterator[Importer]:
    """An importer into an empty community."""
    settings = FeedSettings(database_url=database.url_feed, data_dir=str(tmp_path / "data"))
    async with importer(settings) as made:
        yield made
