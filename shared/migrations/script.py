"""Runs one migration's SQL file on the driver's own connection.

SQLAlchemy's text() would take a colon in JSON for a bind parameter, and asyncpg's prepared statements take one
statement at a time; the driver's simple protocol takes the whole file as it stands.
"""

from pathlib import Path
from typing import Any

from alembic import op

VERSIONS = Path(__file__).parent / "versions"


def run_script(name: str) -> None:
    """Executes versions/NAME in the migration's transaction."""
    sql = (VERSIONS / name).read_text(encoding="utf-8")
    adapted: Any = op.get_bind().connection.dbapi_connection
    adapted.run_async(lambda connection: connection.execute(sql))
