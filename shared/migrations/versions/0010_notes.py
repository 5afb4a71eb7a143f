"""What a moderator said of a story may be taken away again: with the account of whoever said it."""

from shared.migrations.script import run_script

revision = "0010_notes"
down_revision = "0009_days"


def upgrade() -> None:
    run_script("0010_notes.sql")
