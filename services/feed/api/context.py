"""What the door needs of the house: the rooms, who may pass, and how often. Made once, in app.py."""

import msgspec

from services.feed.accounts import Accounts
from services.feed.addresses import Addresses
from services.feed.comments import Comments
from services.feed.departures import Departures
from services.feed.edits import Edits
from services.feed.granting import Roles
from services.feed.media import Photos
from services.feed.posts import Posts
from services.feed.reactions import Reactions
from services.feed.recovery import Recovery
from services.feed.review import Review
from services.feed.sessions import Sessions
from services.feed.settings import FeedSettings
from services.feed.stories import Stories
from services.feed.throttle import Throttle
from services.feed.topics import Topics
from shared.eventlog.waker import Waker
from shared.postgres import Pool


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Who is slowed down: see FeedSettings."""

    sign_ups: Throttle
    sign_ins: Throttle
    sign_ins_from: Throttle
    letters_to: Throttle
    links_from: Throttle
    writes: Throttle


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The rooms behind the door."""

    settings: FeedSettings
    pool: Pool
    accounts: Accounts
    sessions: Sessions
    addresses: Addresses
    recovery: Recovery
    departures: Departures
    roles: Roles
    topics: Topics
    posts: Posts
    edits: Edits
    stories: Stories
    review: Review
    comments: Comments
    reactions: Reactions
    photos: Photos
    limits: Limits
    waker: Waker
    origins: frozenset[str]
    cookie: str
    secure: bool
