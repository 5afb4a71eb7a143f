"""The inbox's fixtures: pools in the services' own roles, a community that writes, a notifier to drive step by step."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from services.notify.inbox.notifier import Notifier
from shared import faults
from shared.postgres import Pool, open_pool
from tests.notify.inbox.community import Community
from tests.servers import Database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Notify's own pool, in its own role."""
    pool = await open_pool(database.url_notify, application_name="inbox tests", max_size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def community(database: Database) -> AsyncIterator[Community]:
    """Members who write."""
    feed = await open_pool(database.url_feed, application_name="inbox tests", max_size=2)
    direct = await asyncpg.connect(database.url_direct)
    yield Community(feed, direct)
    await direct.close()
    await feed.close()


@pytest.fixture
def notifier(pool: Pool) -> Notifier:
    """A notifier that is not running: tests hand it entries."""
    return Notifier(pool)


@pytest.fixture(autouse=True)
def _faults_inert_again() -> Iterator[None]:
    yield
    faults.hold(None)
