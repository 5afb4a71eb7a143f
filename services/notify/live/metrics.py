"""What the live side counts while it works; METRICS.md explains each. What is only looked at when asked: gauges.py.

Labels are bounded: no channel, no member, no address.
"""

from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from shared import clock

SOCKETS = Gauge("chorus_live_sockets", "Open sockets.")
FRAMES = Counter("chorus_live_event_frames_total", "Event frames of rounds, times who follows their channels.")
REQUESTS = Counter("chorus_live_requests_total", "Frames taken from clients.", ["type"])
ERRORS = Counter("chorus_live_errors_total", "Client frames that were refused.", ["code"])
CLOSES = Counter("chorus_live_closes_total", "Sockets closed, by code; `client` when the other side left.", ["code"])
RESETS = Counter("chorus_live_resets_total", "Subscriptions ended with a reset.", ["reason"])
RECOVERIES = Counter(
    "chorus_live_recoveries_total",
    "Subscriptions with a `since`, by where the answer came from and what it was.",
    ["source", "outcome"],
)
CATCH_UPS = Counter(
    "chorus_live_catch_ups_total",
    "Sessions that fell behind, by where the answer came from and what it was.",
    ["source", "outcome"],
)
HISTORY = Counter("chorus_live_history_entries_total", "Entries read from Postgres to extend a ring.", ["log"])
FELL_BEHIND = Counter("chorus_live_fell_behind_total", "Times that a session fell behind its hub.")
COMMIT_TO_SOCKET = Histogram(
    "chorus_live_commit_to_socket_seconds",
    "For each round, from its oldest event's `at` until the last socket was written to.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)

sent = FRAMES.inc


def age(at: str) -> float:
    """Seconds since `at` of an entry, by this process's clock; 0 when that is behind Postgres's."""
    return max((clock.now() - datetime.fromisoformat(at)).total_seconds(), 0.0)


def handed(oldest: str) -> None:
    """A round has ended whose oldest entry is of `oldest`. Once a round, however many sockets it wrote to."""
    COMMIT_TO_SOCKET.observe(age(oldest))
