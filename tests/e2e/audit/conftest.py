"""The community is lived in once by each pytest process, and every test damages a copy of it."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis as redis_py

from services.embedded import Postgres, Redis
from services.feed import demo
from tests.e2e.audit.community import STREAM, Copy, Healthy, handled, live, of, restore
from tests.servers import at_once, fresh_database
from tests.stack import running_stack


@pytest.fixture(scope="session")
def healthy(
    postgres_server: Postgres, template: str, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Healthy]:
    folder = tmp_path_factory.mktemp("healthy")
    with fresh_database(postgres_server, template) as database, redis_py.Redis.from_url(redis_server.url) as redis:
        redis.flushall()
        at_once(demo.seed(of(database, "", folder)))
        with running_stack(database, redis_server.url, folder, {}) as stack:
            at_once(live(stack))
            stack.feed.stop()
            at_once(handled(database, redis))
        entries: Any = redis.xrange(STREAM)
        yield Healthy(database.name, entries, folder / "media")


@pytest.fixture
async def copy(healthy: Healthy, postgres_server: Postgres, redis_server: Redis, tmp_path: Path) -> AsyncIterator[Copy]:
    with fresh_database(postgres_server, healthy.database) as database:
        shutil.copytree(healthy.media, tmp_path / "media")
        with redis_py.Redis.from_url(redis_server.url) as redis:
            restore(redis, healthy.entries)
            direct = await asyncpg.connect(database.url_direct)
            yield Copy(direct, redis, of(database, redis_server.url, tmp_path))
            await direct.close()
