"""The feed's tables, and the views that notify may read."""

from shared.migrations.script import run_script

revision = "0002_feed"
down_revision = "0001_eventlog"


def upgrade() -> None:
    run_script("0002_feed.sql")
