"""Three notify processes leave and come back in turn, under load: nobody misses anything, nobody comes in a crowd."""

import asyncio
import contextlib
import re
import signal
from itertools import count, pairwise

import httpx
import pytest

from tests.e2e.people import Member
from tests.live_client import LiveClient
from tests.stack import Service, Stack

SOCKETS = 36
DRAIN = 1.2
CHANNEL = "topic:ferry"
_HISTORY = re.compile(r"^chorus_live_history_entries_total\{.*\} ([0-9.]+)$", re.MULTILINE)


class Reader(LiveClient):
    """A client that comes back at once, to the next process that lets it in, whenever it is sent away."""

    def __init__(self, urls: list[str], at: int) -> None:
        super().__init__(urls[at % len(urls)])
        self._urls, self._next = urls, count(at + 1)
        self.codes: list[int] = []

    async def has(self, post_id: str) -> None:
        """Returns when the post has come, over whichever socket."""
        async with asyncio.timeout(60):
            while post_id not in created(self):
                with contextlib.suppress(ConnectionError):  # sent away meanwhile
                    await self.until(lambda: post_id in created(self), 60)
                await asyncio.sleep(0.02)

    async def stay(self) -> None:
        """Until cancelled."""
        while True:
            self.codes.append(await self.closed(timeout=600))
            while True:
                self.url = self._urls[next(self._next) % len(self._urls)]
                with contextlib.suppress(OSError, ConnectionError, TimeoutError):
                    await self.reconnect()
                    break


async def write_on(author: Member, posted: list[str], enough: asyncio.Event) -> None:
    """Posts, one after the other, each to its end."""
    for number in count():
        if enough.is_set():
            return
        post = await author.post(f"Crossing {number}. #ferry")
        posted.append(post["id"])


async def restart(notify: Service) -> None:
    await asyncio.to_thread(notify.send, signal.SIGTERM)
    assert await asyncio.to_thread(notify.wait_ended, 20) == 0
    notify.start(wait=False)
    await asyncio.to_thread(notify.wait_ready)


async def read_from_postgres(notify: Service) -> float:
    """Entries that this process asked Postgres for, for somebody who came back."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{notify.url}/metrics")
    assert "chorus_live_history_entries_total" in answer.text
    return sum(map(float, _HISTORY.findall(answer.text)))


def created(reader: Reader) -> list[str]:
    return [e["post"]["id"] for e in reader.subscriptions[CHANNEL].events if e["type"] == "post.created"]


@pytest.mark.parametrize(
    "services", [{"CHORUS_DRAIN": str(DRAIN), "CHORUS_WRITES_PER_MINUTE": "100000"}], indirect=True
)
async def test_three_processes_restarted_in_turn_lose_nothing_and_spread_who_comes_back(services: Stack) -> None:
    for _ in range(2):
        await asyncio.to_thread(services.more_notify)
    urls = [notify.live_url for notify in services.notifies]
    posted: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        ines = await stack.enter_async_context(await Member.sign_up(services.url, "ines"))
        first = await ines.post("The ferry has a new timetable. #Ferry")
        page = await ines.get("/v1/topics/ferry/posts")
        readers = [await stack.enter_async_context(Reader(urls, at)) for at in range(SOCKETS)]
        for reader in readers:
            await reader.subscribe(CHANNEL, page["as_of"])
        background = [asyncio.create_task(reader.stay()) for reader in readers]
        enough = asyncio.Event()
        writing = asyncio.create_task(write_on(ines, posted, enough))
        for notify in services.notifies:
            await restart(notify)
        enough.set()
        await writing
        last = await ines.post("Moored. #ferry")
        for reader in readers:
            await reader.has(last["id"])
        for task in background:
            task.cancel()
        history = [await read_from_postgres(notify) for notify in services.notifies]

    assert len(posted) > 10, "there was no load"
    for reader in readers:
        subscription = reader.subscriptions[CHANNEL]
        assert [each for each in created(reader) if each != first["id"]] == [*posted, last["id"]]
        assert not subscription.gaps
        assert not subscription.resets
    assert sum(len(reader.codes) for reader in readers) >= SOCKETS, "everybody was sent away at least once"
    assert {code for reader in readers for code in reader.codes} == {4000}
    assert history == [0, 0, 0], "who came back was within the ring's reach"
    slots = sorted(frame["in"] for reader in readers for frame in reader.frames if frame["type"] == "drain")
    assert len(slots) >= SOCKETS - 3
    assert max(later - earlier for earlier, later in pairwise([0.0, *slots])) < DRAIN / 4
    assert max(sum(low <= slot < low + DRAIN / 6 for slot in slots) for low in slots) < len(slots) / 2
