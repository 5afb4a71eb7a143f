"""What was imported, so that an import can be repeated and an archive given back."""

from shared.migrations.script import run_script

revision = "0004_archive"
down_revision = "0003_notify"


def upgrade() -> None:
    run_script("0004_archive.sql")
