"""Making a day of what lay in the default partition: who reads meanwhile misses nothing."""

from shared.migrations.script import run_script

revision = "0011_days_moved"
down_revision = "0010_notes"


def upgrade() -> None:
    run_script("0011_days_moved.sql")
