"""Where photos are kept, when that is not a folder: whether it is there and takes our keys."""

import asyncio

from services.doctor.finding import Finding, bad, good
from services.feed.storage import Storage
from shared.errors import Busy
from shared.settings import Common

_PATIENCE = 15.0


async def photos_found(settings: Common) -> list[Finding]:
    """One finding of S3; none of a folder, whose disk is looked at anyway."""
    if not settings.media_url:
        return []
    where = settings.media_url + (f" at {settings.media_endpoint}" if settings.media_endpoint else "")
    try:
        async with asyncio.timeout(_PATIENCE):
            await Storage.of(settings).look()
    except (Busy, TimeoutError, ValueError) as error:
        said = (str(error.__cause__ or error) or "no answer").splitlines()[0][:300]
        do = "Look at CHORUS_MEDIA_URL, its endpoint, region and keys; these need the right to list the bucket as well."
        return [bad("photos", f"{where}: {said}", do)]
    return [good("photos", f"{where} can be listed")]
