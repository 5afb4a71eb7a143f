"""Where photos are kept: a folder, or S3, behind one small interface; keys are made from the content.

A key is written once and never changed, so what is served can be cached for ever, and writing twice is harmless.
Originals are kept only for imported photos, byte for byte, so that an export equals its import; they are never served.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from services.feed.images import SIZES, Processed
from shared.errors import Busy, NotFound
from shared.settings import Common

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

T = TypeVar("T")

THREADS = 16
"""Calls at once; each is bounded by the times below."""
WAIT = 5.0
"""Seconds that a call waits for others to end."""
LISTED = 500
"""Keys listed at once."""
_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
"""Somebody waits for the answer; the client's own three minutes are for jobs."""
_CLIENT: "ClientConfig" = {"connect_timeout": timedelta(seconds=3), "timeout": timedelta(seconds=15)}
_DELETE_RETRIES: "RetryConfig" = {"max_retries": 1, "retry_timeout": timedelta(seconds=2)}
_DELETE_CLIENT: "ClientConfig" = {"connect_timeout": timedelta(seconds=2), "timeout": timedelta(seconds=3)}
"""Five seconds together, and something: a removal holds a lock meanwhile (removals.py)."""


def variant_key(digest: str, size: str) -> str:
    """Where one size of the photo lies whose original has this sha256."""
    return f"served/{digest[:2]}/{digest}/{size}.webp"


def original_key(digest: str) -> str:
    """Where an imported photo's own bytes lie."""
    return f"original/{digest[:2]}/{digest}"


class Storage:
    """Objects by key. Writes are whole or not at all.

    Everything raises Busy while what keeps them is away, or refuses. The library is called in threads of our own: its
    own `async` calls come back in its native threads, and one that does as the interpreter ends aborts the process.
    """

    def __init__(self, media_url: str, data_dir: str | Path, *, s3: "S3Config | None" = None) -> None:
        """`media_url` is the setting MEDIA_URL, e.g. `s3://bucket/prefix`; empty: `media` in the data folder.

        What `s3` leaves open is the environment's to say (`AWS_…`), or the machine's role.
        """
        if media_url.startswith("s3://"):
            said: S3Config = {"disable_bulk_delete": True, **(s3 or {})}  # not every S3 can, and we delete one by one
            http: ClientConfig = {"allow_http": said.get("endpoint", "").startswith("http://")}
            self._store = from_url(media_url, config=said, client_options=_CLIENT | http, retry_config=_RETRIES)
            self._deleting = from_url(
                media_url, config=said, client_options=_DELETE_CLIENT | http, retry_config=_DELETE_RETRIES
            )
        elif media_url:
            self._store = self._deleting = from_url(media_url)
        else:
            folder = Path(data_dir) / "media"
            self._store = self._deleting = LocalStore(folder, mkdir=True, automatic_cleanup=True)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")
        self._free = asyncio.Semaphore(THREADS)

    @classmethod
    def of(cls, settings: Common) -> "Storage":
        """Where these settings keep photos."""
        s3: S3Config = {}
        if settings.media_endpoint:
            s3["endpoint"] = settings.media_endpoint
        if settings.media_region:
            s3["region"] = settings.media_region
        if settings.media_access_key:
            s3["access_key_id"], s3["secret_access_key"] = settings.media_access_key, settings.media_secret_key
        return cls(settings.media_url, settings.data_dir, s3=s3)

    async def put(self, key: str, content: bytes) -> None:
        """Keeps `content` under `key`; what was there is replaced as a whole."""
        with _reached(new=True):
            await self._call(lambda: obstore.put(self._store, key, content))

    async def look(self) -> None:
        """The place is there, and lets us see what it holds."""
        with _reached(new=True):
            await self._call(lambda: next(obstore.list(self._store, chunk_size=1), None))

    async def get(self, key: str) -> bytes:
        """The whole object. Raises NotFound."""
        with _reached():
            return await self._call(lambda: bytes(obstore.get(self._store, key).bytes()))

    async def holds(self, key: str) -> bool:
        """Whether something is kept under `key`."""
        try:
            with _reached():
                await self._call(lambda: obstore.head(self._store, key))
        except NotFound:
            return False
        return True

    async def keys(self) -> AsyncIterator[list[str]]:
        """Every key under which something is kept, some hundred at a time, in no order."""
        with _reached(new=True):
            listing = obstore.list(self._store, chunk_size=LISTED)
            while found := await self._call(lambda: next(listing, None)):
                yield [each["path"] for each in found]

    async def delete(self, key: str) -> None:
        """Nothing is kept under `key` any more; already gone is well. Cancelled it ends first: see `_call`."""
        with suppress(NotFound), _reached():
            await self._call(lambda: obstore.delete(self._deleting, key), ends=True)

    async def drop(self, digest: str) -> None:
        """Nothing is kept of the photo with this digest, neither sizes nor original; already gone is well."""
        for key in (original_key(digest), *(variant_key(digest, size) for size in SIZES)):
            await self.delete(key)

    async def keep(self, photo: Processed, *, original: bytes | None = None) -> None:
        """Keeps a photo's three sizes, and its own bytes when they are given."""
        for size, content in photo.variants().items():
            await self.put(variant_key(photo.digest, size), content)
        if original is not None:
            await self.put(original_key(photo.digest), original)

    async def _call(self, call: Callable[[], T], *, ends: bool = False) -> T:
        """What it gives, in a thread. Cancelled it is left alone; `ends`: not before it has ended, for nothing takes it
        back, and a lock around it would be given up with it under way."""
        try:
            async with asyncio.timeout(WAIT):
                await self._free.acquire()
        except TimeoutError:
            raise Busy("Photos can't be kept or read at the moment.", retry_after=5) from None
        answer = asyncio.wrap_future(self._threads.submit(call))
        answer.add_done_callback(self._over)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            while ends and not answer.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([answer])
            raise

    def _over(self, answer: "asyncio.Future[T]") -> None:
        self._free.release()
        if not answer.cancelled():
            answer.exception()  # whoever was cancelled does not ask for it


@contextmanager
def _reached(*, new: bool = False) -> Iterator[None]:
    """What keeps the photos answers in the block; otherwise the errors that `Storage` promises.

    `new`: no object is asked for, so what is missing is the place.
    """
    try:
        yield
    except (FileNotFoundError, BaseError) as error:
        if isinstance(error, FileNotFoundError) and not new:
            raise NotFound("That photo is not here.") from error
        raise Busy("Photos can't be kept or read at the moment.", retry_after=5) from error
