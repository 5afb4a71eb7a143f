"""Redis: reached, ours, able to write, keeping what it is given, and level with the log."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import ResponseError

from services.doctor.finding import Finding, bad, good
from services.reaching import address, words
from shared.eventlog.stream import UNAVAILABLE, Stream
from shared.redis_client import open_redis

OLDEST = 7
FULL = 0.8
"""Share of maxmemory at which it should be raised: a full Redis refuses the log."""
BEHIND = 1_000


async def redis_found(url: str, installation: str | None, logs: Mapping[int, Any]) -> list[Finding]:
    """Findings; `installation` and `logs` are Postgres's, to compare with."""
    client: Any = open_redis(url)
    try:
        async with asyncio.timeout(5):
            findings = [
                finding for each, name in await _servers(client) for finding in await _server(each, name or url)
            ]
            findings += await _streams(client, installation, logs)
            return findings
    except (*UNAVAILABLE, ValueError) as error:
        do = "Look at CHORUS_REDIS_URL and at that server. Nothing is lost: readers take the log from Postgres."
        return [bad("redis", f"{address(url)} can't be reached: {words(error)}", do)]
    finally:
        await client.aclose()


async def _servers(client: Any) -> list[tuple[Any, str]]:
    """What to ask about servers, each with its address where that isn't the setting's: a cluster's primaries."""
    if not isinstance(client, RedisCluster):
        return [(client, "")]
    await client.initialize()
    return [(_At(client, node), f"redis://{node.name}") for node in client.get_primaries()]


class _At:
    """One node of a cluster, which is asked what a single server would be."""

    def __init__(self, cluster: Any, node: Any) -> None:
        self._cluster, self._node = cluster, node

    async def info(self, section: str) -> Any:
        return await self._cluster.info(section, target_nodes=self._node)

    async def config_get(self, name: str) -> Any:
        return await self._cluster.config_get(name, target_nodes=self._node)


async def _server(client: Any, url: str) -> list[Finding]:
    info: dict[str, Any] = await client.info("everything")
    return [_version(info, url), _memory(info), await _persistence(client, info), *_role(info)]


def _version(info: Mapping[str, Any], url: str) -> Finding:
    valkey = info.get("valkey_version")
    shown = f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}"
    found = f"{shown} at {address(url)}, up {info['uptime_in_seconds']:,} s, {info['connected_clients']} clients"
    if int(str(valkey or info["redis_version"]).split(".")[0]) >= OLDEST:
        return good("redis", found)
    return bad("redis", found, f"Chorus needs Redis {OLDEST} or newer.")


def _memory(info: Mapping[str, Any]) -> Finding:
    used, most, policy = info["used_memory"], info.get("maxmemory", 0), info.get("maxmemory_policy", "?")
    found = f"{used / (1 << 20):,.0f} MiB used, of {f'{most / (1 << 20):,.0f} MiB' if most else 'no limit'}, {policy}"
    if most and str(policy).startswith("allkeys"):
        return bad(
            "redis memory",
            found,
            "Set maxmemory-policy noeviction: a stream that is evicted is refilled, again and again.",
        )
    if most and used > FULL * most:
        return bad(
            "redis memory", found, "Raise maxmemory, or lower CHORUS_STREAM_LENGTH (500 bytes an entry, roughly)."
        )
    return good("redis memory", found)


async def _persistence(client: Any, info: Mapping[str, Any]) -> Finding:
    if info.get("rdb_last_bgsave_status", "ok") != "ok" or info.get("aof_last_write_status", "ok") != "ok":
        do = 'Free its disk, or set `save ""` and `appendonly no`: it refuses writes, and the log needs neither.'
        return bad("redis persistence", "its last write to disk failed", do)
    kept = ["append-only file"] if info.get("aof_enabled") else []
    with contextlib.suppress(ResponseError):  # a hosted Redis may not tell
        kept += ["snapshots"] if (await client.config_get("save")).get("save") else []
    return good("redis persistence", f"{' and '.join(kept) or 'none'}; what it loses is refilled from Postgres")


def _role(info: Mapping[str, Any]) -> list[Finding]:
    if info.get("role") == "master":
        return []
    return [
        bad("redis role", f"{info.get('role')}: it can't be written", "Give CHORUS_REDIS_URL the primary's address.")
    ]


async def _streams(client: Any, installation: str | None, logs: Mapping[int, Any]) -> list[Finding]:
    findings = []
    for log, row in logs.items():
        stream = Stream(client, log)
        owner = await stream.install_id()
        what = f"stream {stream.key}"
        if owner is not None and owner != installation:
            do = "Two installations may not share a Redis: give each its own, or empty this one."
            return [bad(what, "it belongs to another installation", do)]
        last, length = await stream.last(), await _length(client, stream.key)
        behind = row["head"] - (last.seq if last else 0)
        found = f"{length:,} entries, through {last or 'nothing'}, {max(0, behind):,} behind Postgres"
        if last is not None and last.epoch != row["epoch"]:
            do = f"Look at the sequencer's log: it should begin the stream anew in epoch {row['epoch']}."
            findings.append(bad(what, f"{found}, in another epoch", do))
        elif behind > BEHIND or (last is None and row["head"] > 0):
            do = "Look at the sequencer's log; readers take the log from Postgres meanwhile."
            findings.append(bad(what, found, do))
        else:
            findings.append(good(what, found))
    return findings


async def _length(client: Any, key: str) -> int:
    try:
        return int(await client.xlen(key))
    except ResponseError:
        return 0
