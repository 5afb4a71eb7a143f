"""The feed under a real uvicorn in the test's own loop, on a database of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
import uvicorn

from services.feed.app import create_app
from services.feed.settings import FeedSettings
from shared.listening import listen
from tests.feed.community import Community
from tests.servers import Database

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


@asynccontextmanager
async def serving(settings: FeedSettings) -> AsyncIterator[str]:
    """The feed's address, for the length of the block."""
    door = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        create_app(settings), lifespan="on", http="httptools", ws="none", loop="none", log_config=None, access_log=False
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


@pytest.fixture
async def serve(database: Database, tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts a feed with these settings on the test's database; any number of times."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> Community:
            given = {
                "database_url": database.url_feed,
                "secret_key": SECRET,
                "data_dir": str(tmp_path),
                "public_url": "http://chorus.test",
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
