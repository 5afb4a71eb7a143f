"""What the live side is like at the moment somebody asks: read from the hub, the rings and the tails, kept nowhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.notify.live.follower import Follower
from services.notify.live.gateway import Gateway
from services.notify.live.metrics import age
from services.notify.live.ring import Ring

Handled = Callable[[int], float]
"""The position through which the notifier has handled a log."""
_CAUSED = ["log", "cause"]


class Gauges(Collector):
    """One process's; nothing of a log while no generation is there."""

    def __init__(self, follower: Follower, gateway: Gateway, handled: Handled) -> None:
        self._follower = follower
        self._gateway = gateway
        self._handled = handled

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        yield from self._of_sockets()
        yield from self._of_logs()
        yield from self._of_tails()

    def _of_sockets(self) -> Iterator[Metric]:
        gateway, current = self._gateway, self._follower.current
        sessions = gateway.sessions()
        behind = sum(session.behind is not None for session in sessions)
        waiting = sum(session.outlet.waiting() for session in sessions)
        followed = len(current.hub.channels) if current else 0
        for name, text, value in (
            ("chorus_live_channels_followed", "Channels with at least one live subscription here.", followed),
            ("chorus_live_sessions_behind", "Sessions that the rounds leave out until they have caught up.", behind),
            ("chorus_live_in_flight_bytes", "Bytes written that no kernel has taken yet, of all sockets.", waiting),
            ("chorus_live_draining", "1 while this process leaves.", float(gateway.draining)),
            (
                "chorus_live_drain_remaining_sockets",
                "Sockets that a drain has still to close.",
                len(sessions) * gateway.draining,
            ),
        ):
            yield GaugeMetricFamily(name, text, value)

    def _of_logs(self) -> Iterator[Metric]:
        head = GaugeMetricFamily("chorus_live_log_head_position", "Postgres's head, as last seen.", labels=["log"])
        at = GaugeMetricFamily("chorus_live_position", "Position through which a log has come in.", labels=["log"])
        labels = ["log", "consumer"]
        behind = GaugeMetricFamily("chorus_live_lag_positions", "Positions behind the head.", labels=labels)
        late = GaugeMetricFamily("chorus_live_lag_seconds", "Seconds behind the head.", labels=labels)
        entries = GaugeMetricFamily("chorus_live_ring_entries", "Entries in memory.", labels=["log"])
        oldest = GaugeMetricFamily(
            "chorus_live_ring_floor_age_seconds", "Age of the oldest entry in memory; 0: none.", labels=["log"]
        )
        rings = self._follower.current.hub.rings if self._follower.current else ()
        for ring, tail in zip(rings, self._follower.tails, strict=False):
            log, seen = str(ring.log), max(tail.pg_head, tail.position.seq)
            handled = int(self._handled(ring.log))
            head.add_metric([log], seen)
            at.add_metric([log], ring.end)
            behind.add_metric([log, "live"], seen - ring.end)
            behind.add_metric([log, "notifier"], max(seen - handled, 0))
            late.add_metric([log, "live"], tail.meeting.ago)
            late.add_metric([log, "notifier"], _age_after(ring, handled))
            entries.add_metric([log], len(ring))
            oldest.add_metric([log], age(ring.entry(ring.floor).at) if len(ring) else 0.0)
        yield from (head, at, behind, late, entries, oldest)

    def _of_tails(self) -> Iterator[Metric]:
        switches = CounterMetricFamily(
            "chorus_live_tail_switches", "Times that the tail went over to a source.", labels=["log", "to"]
        )
        noticed, repaired = (
            CounterMetricFamily(f"chorus_live_gaps_{done}", f"Gaps in the stream that were {done}.", labels=_CAUSED)
            for done in ("noticed", "repaired")
        )
        for tail in self._follower.tails:
            for source, count in tail.switches.items():
                switches.add_metric([str(tail.log), source], count)
            for family, counts in ((noticed, tail.gaps.noticed), (repaired, tail.gaps.repaired)):
                for cause, count in counts.items():
                    family.add_metric([str(tail.log), cause], count)
        yield from (switches, noticed, repaired)


def _age_after(ring: Ring, handled: int) -> float:
    """How old the first entry after a position is; 0 when there is none yet. One below the ring is older than told."""
    if handled >= ring.end or not len(ring):
        return 0.0
    return age(ring.entry(max(handled + 1, ring.floor)).at)


@contextmanager
def exposed(follower: Follower, gateway: Gateway, handled: Handled) -> Iterator[None]:
    """Whoever asks this process for metrics gets these too."""
    gauges = Gauges(follower, gateway, handled)
    REGISTRY.register(gauges)
    try:
        yield
    finally:
        REGISTRY.unregister(gauges)
