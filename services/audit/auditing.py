"""All of an audit: which role reads what, one question after the other."""

import asyncpg

from services.audit import counts, inboxes, log, photos, places, roles, stream
from services.audit.finding import Finding
from services.audit.reading import PATIENT
from services.doctor.database import days_found
from services.doctor.finding import Finding as Doctors
from services.feed.settings import FeedSettings
from services.progress import Report
from services.reaching import Unreachable, address, check_schema, postgres
from shared.postgres import Connection


async def audited(settings: FeedSettings, report: Report) -> list[Finding]:
    """Every finding. Raises Unreachable without Postgres in either role, or without this release's schema."""
    await check_schema(settings.database_url)
    feed = await postgres(settings.database_url, statement=PATIENT)
    try:
        notify = await postgres(settings.postgres_for_notify(), "CHORUS_NOTIFY_DATABASE_URL", statement=PATIENT)
        try:
            return await _all(feed, notify, settings, report)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            where = address(settings.database_url)
            do = (
                "Look at CHORUS_DATABASE_URL and CHORUS_NOTIFY_DATABASE_URL: each is one service's role; "
                "`chorus migrate` makes this release's schema and grants what each needs"
            )
            raise Unreachable(f"{where} does not show an audit what it needs: {error}. {do}.") from error
        finally:
            await notify.close()
    finally:
        await feed.close()


async def _all(feed: Connection, notify: Connection, settings: FeedSettings, report: Report) -> list[Finding]:
    return [
        *await log.numbered(feed, report),
        *await log.dense(feed, report),
        *await log.ordered(feed, report),
        *await stream.streams(feed, settings.redis_address(), report),
        *await log.past_the_head(feed, report),
        *(_as_ours(each) for each in await days_found(feed)),
        *await counts.counted(feed, report),
        *await places.placed(feed, report),
        *await photos.kept(feed, settings, report),
        *await roles.recorded(feed, report),
        *await inboxes.counted(notify, report),
    ]


def _as_ours(theirs: Doctors) -> Finding:
    """Doctor asks for the days too."""
    return Finding(
        what=theirs.what,
        ok=theirs.ok,
        looked=1,
        wrong=int(not theirs.ok),
        found=theirs.found,
        means=None if theirs.ok else "Events go to the default partition, and stay there when their day is dropped.",
        do=theirs.do,
    )
