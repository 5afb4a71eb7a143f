"""The one place that makes clients of Redis: one server, one behind Sentinels, or a cluster, as the address says.

A client's own retries are off and every caller bounds its calls: who asks knows what to do without Redis. What
redis-py bounds with `asyncio.wait_for` may drop a cancellation (see eventlog/cancellation.py), so one server, which
needs no search for whom to ask, has no timeout of the client's own but that of connecting.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode, ClusterPipeline
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import ClusterDownError, ClusterError, RedisClusterException

CONNECT_TIMEOUT = 1.0
"""Seconds for a connection to one server."""
SEARCH_CONNECT_TIMEOUT, SEARCH_TIMEOUT = 0.3, 0.5
"""Seconds for one Sentinel or node of several, to connect and to answer: so that within the second that a call may
take, the next one is asked. More than the 0.2 s that a read of an idle stream waits."""
SENTINEL_PORT, REDIS_PORT = 26379, 6379


def open_redis(url: str) -> "Redis":
    """A client for the Redis at `url`; nothing is connected yet. `aclose` it. Raises ValueError for another address.

    `redis://` and `unix://` as redis-py knows them; `redis+sentinel://host,host/master`, where `sentinel_username` and
    `sentinel_password` are those of the Sentinels; `redis+cluster://host,host`. `rediss…` is TLS. All take
    `?ssl_ca_certs=`, `ssl_certfile=` and `ssl_keyfile=`. A cluster's client answers the same commands, key by key.
    """
    scheme, _, rest = url.partition("://")
    kind = scheme.partition("+")[2]
    if not kind:
        client = Redis.from_url(
            url, socket_timeout=None, socket_connect_timeout=CONNECT_TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
        return _packing_in_c(client)
    if kind == "sentinel":
        return _behind_sentinels(scheme, rest)
    if kind == "cluster":
        return _cluster(scheme, rest)
    raise ValueError(f"an address of Redis can't start with {scheme}://")


def _packing_in_c(client: Redis) -> Redis:
    """Commands are packed by hiredis, as redis-py's blocking client has it done; its asyncio client joins them up in
    Python, argument by argument, and a page of the log has 5,000. A cluster's client, which has no pool, still does."""
    pool = client.connection_pool
    pool.connection_class = type("PackingInC", (_PackingInC, pool.connection_class), {})
    return client


class _PackingInC:
    """Mixed into a connection."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """The command as it goes on the wire."""
        packed: list[bytes] = HiredisRespSerializer().pack(*args)
        return packed


def _behind_sentinels(scheme: str, rest: str) -> Redis:
    servers, options, path = _parts(scheme, rest, SENTINEL_PORT)
    theirs = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    common = {name: value for name, value in options.items() if name.startswith("ssl")}
    sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
        servers,
        sentinel_kwargs={**common, **theirs, **_searching(0)},
        **{**options, "db": int(options.get("db", 0))},
        socket_connect_timeout=SEARCH_CONNECT_TIMEOUT,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
    )
    return _packing_in_c(cast(Redis, sentinel.master_for(path or "mymaster", redis_class=_Master)))


def _cluster(scheme: str, rest: str) -> Redis:
    servers, options, _ = _parts(scheme, rest, REDIS_PORT)
    nodes = [ClusterNode(host, port) for host, port in servers]
    # One retry, for that is when redis-py asks anew who has which slots.
    return cast(Redis, _Cluster(startup_nodes=nodes, require_full_coverage=False, **options, **_searching(1)))


def _searching(retries: int) -> dict[str, Any]:
    return {
        "socket_connect_timeout": SEARCH_CONNECT_TIMEOUT,
        "socket_timeout": SEARCH_TIMEOUT,
        "retry": Retry(NoBackoff(), retries),
    }


def _parts(scheme: str, rest: str, port: int) -> tuple[list[tuple[str, int]], dict[str, Any], str]:
    """Servers as (host, port), redis-py's options, and the path."""
    # By hand: urlsplit takes one host, and newer Pythons refuse several of which one is an IPv6 address.
    place, _, query = rest.partition("?")
    netloc, _, path = place.partition("/")
    who, _, hosts = netloc.rpartition("@")
    options: dict[str, Any] = {**parse_url(f"redis://{f'{who}@' if who else ''}nobody?{query}")}
    options.pop("host")
    if scheme.startswith("rediss"):
        options["ssl"] = True
    found = [urlsplit(f"redis://{host}") for host in hosts.split(",") if host]
    return [(each.hostname or "", each.port or port) for each in found], options, unquote(path.strip("/"))


class _Master(Redis):
    """The primary that Sentinels name; closing it closes the connections to them too."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        manager: Any = getattr(self.connection_pool, "sentinel_manager", None)
        for each in manager.sentinels if manager is not None else ():
            await each.aclose()


class _Cluster(RedisCluster):
    """redis-py's; whatever goes wrong while nodes fail over is a RedisError, and asks anew who has which slots."""

    async def initialize(self, *args: Any, **options: Any) -> RedisCluster:
        with _as_redis_error():
            return await super().initialize(*args, **options)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _as_redis_error():
            return await super().execute_command(*args, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        return _Pipeline(self, transaction)  # type: ignore[abstract]

    def pubsub(self, *_: Any, **options: Any) -> Any:
        """What is published anywhere is heard everywhere: any node that is known will do, whoever has the slot."""
        return super().pubsub(node=self.get_random_node(), **options)

    async def _determine_nodes(self, command: str, *args: Any, **options: Any) -> Any:
        """Slots that nobody has for the moment are KeyErrors in redis-py."""
        try:
            return await super()._determine_nodes(command, *args, **options)
        except KeyError as error:
            self._initialize = True
            raise ClusterDownError(f"CLUSTERDOWN nobody has slot {error}") from error

    async def _determine_slot(self, command: str, *args: Any) -> int:
        """Where XREAD names its key is known; redis-py would ask a server for that before every read."""
        if command == "XREAD":
            upper = [each.upper() if isinstance(each, str) else each for each in args]
            place = upper.index(b"STREAMS") if b"STREAMS" in upper else upper.index("STREAMS")
            return int(self.keyslot(args[place + 1]))
        return int(await super()._determine_slot(command, *args))


class _Pipeline(ClusterPipeline):
    async def execute(self, *args: Any, **options: Any) -> list[Any]:
        with _as_redis_error():
            return await super().execute(*args, **options)


@contextmanager
def _as_redis_error() -> Iterator[None]:
    """What isn't one in redis-py: its cluster's own errors, and what becomes of a call under way when another one asks
    who has which slots, which takes every connection down."""
    try:
        yield
    except (RedisClusterException, AttributeError, LookupError, RuntimeError) as error:
        raise ClusterError(repr(error)) from error
