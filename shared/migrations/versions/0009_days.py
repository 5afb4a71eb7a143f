"""Making a day that people write into already: who was on the way to the default partition is no longer refused."""

from shared.migrations.script import run_script

revision = "0009_days"
down_revision = "0008_requests"


def upgrade() -> None:
    run_script("0009_days.sql")
