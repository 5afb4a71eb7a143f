"""Appending and numbering are planned once a session: their plans never change, and planning cost what the work did."""

from shared.migrations.script import run_script

revision = "0012_plans"
down_revision = "0011_reading"


def upgrade() -> None:
    run_script("0012_plans.sql")
