"""The spine: outbox, numbering, retention. DESIGN.md section 4."""

from shared.migrations.script import run_script

revision = "0001_eventlog"
down_revision = None


def upgrade() -> None:
    run_script("0001_eventlog.sql")
    run_script("0001_eventlog_numbering.sql")
    run_script("0001_eventlog_retention.sql")
