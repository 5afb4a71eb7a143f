"""A feed whose background work broke an assumption ends, so that its supervisor starts a whole one."""

import asyncio
import os
from pathlib import Path

import asyncpg

from services.bench.stack import free_port
from tests.feed.conftest import SECRET
from tests.servers import Database
from tests.stack import Service


async def test_a_feed_whose_log_is_no_more_ends_with_1(database: Database, tmp_path: Path) -> None:
    port = free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHORUS_")},
        "CHORUS_DATABASE_URL": database.url_feed,
        "CHORUS_SECRET_KEY": SECRET,
        "CHORUS_DATA_DIR": str(tmp_path),
        "CHORUS_FEED_PORT": str(port),
    }
    feed = Service("feed", "feed", env, tmp_path / "feed.log", f"http://127.0.0.1:{port}")
    feed.start()
    try:
        owner = await asyncpg.connect(database.url_direct)
        await owner.execute("delete from eventlog.tick")
        await owner.close()
        assert await asyncio.to_thread(feed.wait_ended, 30) == 1
        assert '"task": "follower"' in feed.tail(), feed.tail()
    finally:
        feed.stop()
