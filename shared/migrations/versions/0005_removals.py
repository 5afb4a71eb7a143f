"""What goes after it is no longer shown: photos' bytes, and what was remembered of lines that were taken away."""

from shared.migrations.script import run_script

revision = "0005_removals"
down_revision = "0004_archive"


def upgrade() -> None:
    run_script("0005_removals.sql")
