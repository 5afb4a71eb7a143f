"""Members with an open page, for faults after which everybody has to end equal to Postgres."""

from collections.abc import Set
from typing import NamedTuple

from tests.e2e.fold import Json, Page
from tests.e2e.people import Member
from tests.eventlog.rig import until
from tests.live_client import PATIENCE, Cursor, LiveClient
from tests.stack import Stack

SLUG = "lanterns"


class Reader:
    """A member's open page: fetched, folded from the socket, and fetched again whenever it is told to."""

    def __init__(self, stack: Stack, member: Member) -> None:
        self._stack, self.member = stack, member
        self.client = LiveClient(stack.notify.live_url, member.token)
        self.page = Page({"slug": SLUG}, [], [])
        self.codes: list[int] = []

    async def fetched(self) -> tuple[Page, Cursor]:
        """The whole topic, and the position of the first read: what later pages have is newer, which harms nobody."""
        listed = first = await self.member.get(f"/v1/topics/{SLUG}/posts", limit=100)
        posts = list(first["items"])
        while listed["next"] is not None:
            listed = await self.member.get(f"/v1/topics/{SLUG}/posts", limit=100, before=listed["next"])
            posts += listed["items"]
        return Page(await self.member.get(f"/v1/topics/{SLUG}"), posts, []), first["as_of"]

    async def open(self) -> None:
        """On the socket, from a fresh page."""
        await self.client.connect()
        self.page, cursor = await self.fetched()
        for channel in (f"topic:{SLUG}", f"inbox:{self.member.id}"):
            await self.client.subscribe(channel, cursor, fold=self._fold)

    def _fold(self, event: Json) -> None:
        self.page.fold(event)

    async def closed_by_a_new_epoch(self) -> None:
        self.codes.append(await self.client.closed(30))
        await self.client.close()

    async def shows(self, post: Json) -> None:
        await self.client.until(lambda: post["id"] in self.page.posts, 2 * PATIENCE)

    async def equals_postgres(self) -> bool:
        fresh, _ = await self.fetched()
        return self.page.compared() == fresh.compared()


class Circle(NamedTuple):
    """Three members with open pages, and the first post, which the second has commented once."""

    members: tuple[Member, Member, Member]
    kept: Json
    readers: list[Reader]

    @classmethod
    async def gathered(cls, stack: Stack) -> "Circle":
        anna, bert, cleo = [await Member.sign_up(stack.url, name) for name in ("anna", "bert", "cleo")]
        kept = await anna.post(f"Kept. #{SLUG}")
        await bert.comment(kept, "Told before.")
        readers = [Reader(stack, member) for member in (anna, bert, cleo)]
        for reader in readers:
            await reader.open()
        return cls((anna, bert, cleo), kept, readers)

    async def loses(self) -> Json:
        """A post and a comment of the second member's, which everybody sees: what a failure then takes away."""
        bert = self.members[1]
        lost = await bert.post(f"The standby never heard of this. #{SLUG}")
        await bert.comment(self.kept, "Nor of this.")
        for reader in self.readers:
            await reader.shows(lost)
        return lost

    async def ended_equal(self, lost: Json, there: Set[str]) -> None:
        """Every page comes to equal Postgres, bears `there` and not `lost`, and then is left."""
        for reader in self.readers:
            assert reader.codes == [4006]
            await until(reader.equals_postgres, 30)
            assert lost["id"] not in reader.page.posts
            assert there <= reader.page.posts.keys()
            assert reader.client.subscriptions[f"topic:{SLUG}"].gaps == 0
            await reader.client.close()

    async def leave(self) -> None:
        for member in self.members:
            await member.http.aclose()


async def unread(stack: Stack, member: Member) -> tuple[int, list[str]]:
    answer = await member.http.get(f"{stack.notify.url}/v1/notifications")
    assert answer.status_code == 200, answer.text
    inbox = answer.json()
    return inbox["unread"], [f"{each['kind']} {each['post_id']}" for each in inbox["items"]]


async def told(stack: Stack, member: Member, times: int) -> None:
    """Waits until the member has so many unread notifications."""

    async def is_told() -> bool:
        return (await unread(stack, member))[0] == times

    await until(is_told)
