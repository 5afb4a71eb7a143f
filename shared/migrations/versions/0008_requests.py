"""Every event names the request that caused it, so that logs and the log can be read together."""

from shared.migrations.script import run_script

revision = "0008_requests"
down_revision = "0007_stories"


def upgrade() -> None:
    run_script("0008_requests.sql")
