"""The demo community: twelve people of one small town, as an archive like any other.

It is loaded by the importer, so there is no second way in; its times move so that the newest was twelve minutes ago.
Passwords come from the installation's secret: nobody can know them from this repository, and they can be told again.
"""

import base64
import hashlib
import hmac
from datetime import timedelta
from pathlib import Path

from services.feed.archive.importing import Summary
from services.feed.archive.plan import Plan
from services.feed.archive.reading import Contents
from services.feed.archive.records import Member
from services.feed.archive.wiring import importer, long_connection
from services.feed.demo.roles import settle
from services.feed.passwords import Passwords
from services.feed.queries import QUERIES
from services.feed.rows import now
from services.feed.settings import FeedSettings
from shared.postgres import Connection

ARCHIVE = Path(__file__).parent / "archive.jsonl"
NEWEST = timedelta(minutes=12)
"""How long ago the newest of it was: long enough to be read, short enough to look alive."""
SIGN_IN_AS = ("hanna_k", "kwame", "maureen_p")
"""Members who can be signed in as: an author, a member, an admin. Much is said to them, by others."""


async def seed(settings: FeedSettings) -> Summary:
    """The demo community is here, and its logins work; repeating it changes nothing. `secret_key` must be set."""
    passwords = Passwords()
    hashes = [await passwords.hash(password(settings.secret_key, handle)) for handle in SIGN_IN_AS]

    async def open_doors(connection: Connection, plan: Plan) -> None:
        await QUERIES.give_passwords(connection, archive=plan.contents.name, handles=list(SIGN_IN_AS), hashes=hashes)
        await settle(connection, {member.handle: plan.ids["member", member.ref] for _, member in plan.new(Member)})

    async with importer(settings) as ready:
        return await ready.run(ARCHIVE, shift=_to_now, then=open_doors)


async def logins(settings: FeedSettings) -> list[str]:
    """Handle and password of everybody in the demo who can be signed in as; empty when it isn't here."""
    async with long_connection(settings.database_url, "chorus demo") as connection:
        rows = await QUERIES.archive_logins(connection, archive="demo")
    return [f"{row['handle']}  {password(settings.secret_key, row['handle'])}" for row in rows]


def password(secret_key: str, handle: str) -> str:
    """This installation's password for a member of the demo."""
    made = hmac.new(secret_key.encode(), f"demo password of {handle}".encode(), hashlib.sha256).digest()
    letters = base64.b32encode(made).decode().lower()
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:12]}"


def _to_now(contents: Contents) -> timedelta:
    """What moves the newest moment of the archive to NEWEST ago, in whole seconds."""
    return now().replace(microsecond=0) - NEWEST - max(contents.moments())
