"""Inboxes, notifications, and the notifier's cursor."""

from shared.migrations.script import run_script

revision = "0003_notify"
down_revision = "0002_feed"


def upgrade() -> None:
    run_script("0003_notify.sql")
