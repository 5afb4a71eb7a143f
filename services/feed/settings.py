"""What the feed is told, beyond what every process is told."""

from typing import Annotated

from shared.settings import Common, Port, described


class FeedSettings(Common, frozen=True, kw_only=True):
    """The feed's settings."""

    feed_pool: Annotated[int, described("Postgres connections of one feed process.", ge=2, le=200)] = 12
    signups_per_hour: Annotated[int, described("Accounts that one address may make in an hour.", ge=1)] = 1000
    sign_in_attempts: Annotated[
        int, described("Wrong passwords in 5 minutes for one handle, before it has to wait.", ge=1)
    ] = 10
    letters_per_hour: Annotated[
        int, described("Letters to one address, asked for or in its member's name, in an hour.", ge=1)
    ] = 5
    writes_per_minute: Annotated[int, described("Posts, comments and photos of one member in a minute.", ge=1)] = 300
    retention_days: Annotated[int, described("Days that the event log is kept in Postgres.", ge=1, le=365)] = 3
    sequencer_port: Annotated[
        Port,
        described("Where the publishing process answers `/healthz`, `/readyz` and `/metrics`; unset: nowhere."),
    ] = 0
    stream_length: Annotated[int, described("Entries that a log's Redis stream keeps.", ge=1000)] = 200_000
