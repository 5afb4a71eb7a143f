"""Accounts as people need them: a confirmed address, letters, devices, and a way out."""

from shared.migrations.script import run_script

revision = "0006_accounts"
down_revision = "0005_removals"


def upgrade() -> None:
    run_script("0006_accounts.sql")
