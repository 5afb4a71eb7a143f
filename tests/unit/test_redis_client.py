"""Clients of Redis put on the wire what redis-py's own packer would, to the byte."""

from typing import Any

import pytest
from redis.asyncio.connection import Connection
from redis.exceptions import DataError

from shared.redis_client import open_redis

COMMANDS = [
    ("PING",),
    ("XINFO STREAM", "chorus:log:{0}"),
    ("SCRIPT LOAD", "return 1 \r\n"),
    ("XADD", "k", "MAXLEN", "~", 200_000, "7-1", "p", b"\x00\xff\r\n$1", "t", "gäste 🎈"),
    ("SET", b"k", -1, "PX", 0.25),
    ("EVALSHA", "f" * 40, 1, "k", *[b"x" * 7_000, "", bytearray(b"y")] * 40),
]


def connection_of(url: str) -> Any:
    pool: Any = open_redis(url).connection_pool
    return pool.make_connection()


@pytest.mark.parametrize("url", ["redis://localhost:1", "unix:///nowhere", "redis+sentinel://localhost:1/mymaster"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_commands_are_packed_as_redis_py_packs_them(url: str, command: tuple[str | bytes | int | float]) -> None:
    connection = connection_of(url)
    assert type(connection).__name__ == "PackingInC"
    assert b"".join(connection.pack_command(*command)) == b"".join(Connection().pack_command(*command))


def test_what_is_no_argument_is_refused_as_redis_py_refuses_it() -> None:
    with pytest.raises(DataError):
        connection_of("redis://localhost:1").pack_command("SET", "k", None)
