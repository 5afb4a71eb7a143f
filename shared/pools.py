"""What the pools of this process are like at the moment somebody asks: how large, how much of them is in use."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class _Pools(Collector):
    """Every open pool by its name; of those that share one, the sum."""

    def __init__(self) -> None:
        self.named: list[tuple[str, Any]] = []

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        used = GaugeMetricFamily("chorus_pool_used", "Postgres connections in use.", labels=["pool"])
        most = GaugeMetricFamily("chorus_pool_max", "Postgres connections that a pool may have.", labels=["pool"])
        found: dict[str, tuple[int, int]] = {}
        for name, pool in self.named:
            if not pool.is_closing():
                busy, size = found.get(name, (0, 0))
                found[name] = (busy + pool.get_size() - pool.get_idle_size(), size + pool.get_max_size())
        for name, (busy, size) in found.items():
            used.add_metric([name], busy)
            most.add_metric([name], size)
        yield from (used, most)


_pools = _Pools()
REGISTRY.register(_pools)


def watch(name: str, pool: Any) -> None:
    """From now on every scrape tells of `pool`, until it is closed."""
    _pools.named = [(known, other) for known, other in _pools.named if not other.is_closing()]
    _pools.named.append((name, pool))
