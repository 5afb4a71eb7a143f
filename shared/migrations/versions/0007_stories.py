"""Roles and who gave them; stories until they are published, apart from posts, so that no read of posts shows one."""

from shared.migrations.script import run_script

revision = "0007_stories"
down_revision = "0006_accounts"


def upgrade() -> None:
    run_script("0007_stories.sql")
