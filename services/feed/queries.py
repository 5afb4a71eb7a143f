"""The feed's named queries, from the `.sql` files beside this module."""

import inspect
from pathlib import Path
from typing import Any

from shared.postgres import load_queries


class _Lists:
    """Queries whose many rows are awaited as a list; aiosql gives an async generator, of rows that are here already."""

    def __init__(self, queries: Any) -> None:
        self._queries = queries

    def __getattr__(self, name: str) -> Any:
        query = getattr(self._queries, name)
        if not inspect.isasyncgenfunction(query):
            return query

        async def rows(connection: Any, **parameters: Any) -> list[Any]:
            return [row async for row in query(connection, **parameters)]

        setattr(self, name, rows)
        return rows


QUERIES: Any = _Lists(load_queries(Path(__file__).parent / "sql"))
"""`await QUERIES.name(connection, a=…)`; what each does stands above it in its file."""
