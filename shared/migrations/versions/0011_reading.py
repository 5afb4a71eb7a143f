"""Readers of the log miss nothing while days come, and see nothing of what lies below the floor when days went."""

from shared.migrations.script import run_script

revision = "0011_reading"
down_revision = "0010_notes"


def upgrade() -> None:
    run_script("0011_reading.sql")
