"""The loop that production runs on, a server in it, and a pen for its log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.notify.live.house import House, Pen, house_of, pen_of
from tests.servers import Database


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop: its transports buffer and pause unlike asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def pen(database: Database) -> AsyncIterator[Pen]:
    """Writes to this test's log."""
    async with pen_of(database) as pen:
        yield pen


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    """A notify server with usual settings, on this test's database, without Redis."""
    async with house_of(database) as house:
        yield house
