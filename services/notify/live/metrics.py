"""What the live side counts. Labels are bounded: no channel, no member, no address."""

from prometheus_client import Counter, Gauge

SOCKETS = Gauge("chorus_live_sockets", "Open sockets.")
SUBSCRIPTIONS = Gauge("chorus_live_channels_followed", "Channels with at least one live subscription here.")
FRAMES = Counter("chorus_live_event_frames_total", "Event frames handed to sockets by rounds.")
REQUESTS = Counter("chorus_live_requests_total", "Frames taken from clients.", ["type"])
ERRORS = Counter("chorus_live_errors_total", "Client frames that were refused.", ["code"])
CLOSES = Counter("chorus_live_closes_total", "Sockets closed, by code; `client` when the other side left.", ["code"])
RESETS = Counter("chorus_live_resets_total", "Subscriptions ended with a reset.", ["reason"])
RECOVERIES = Counter("chorus_live_recoveries_total", "Subscriptions replayed to live, by where from.", ["source"])
HISTORY = Counter("chorus_live_history_entries_total", "Entries read from Postgres to extend a ring.", ["log"])
FELL_BEHIND = Counter("chorus_live_fell_behind_total", "Times that a session fell behind its hub.")
POSITION = Gauge("chorus_live_position", "Position through which a log has come in.", ["log"])
LAG = Gauge("chorus_live_lag", "Positions between Postgres's head and what has come in.", ["log"])
RING = Gauge("chorus_live_ring_entries", "Entries in memory.", ["log"])

_positions: dict[int, Gauge] = {}


def position(log: int, seq: int) -> None:
    """Log `log` has come in through `seq`. Called for each batch: labels are looked up once."""
    gauge = _positions.get(log)
    if gauge is None:
        gauge = _positions[log] = POSITION.labels(log)
    gauge.set(seq)


sent = FRAMES.inc
