"""Section 9's rows in its order, then two of our own, each by the name that `chorus bench --rows` takes."""

from collections.abc import Callable

from services.bench.bench import Bench
from services.bench.figures import Figure
from services.bench.http_rows import row_get, row_post
from services.bench.live_rows import row_hot, row_idle, row_topics
from services.bench.log_rows import row_drain, row_stream, row_stream_open
from services.bench.reconnect_row import row_reconnect
from services.bench.stalled_row import row_stalled
from services.bench.workers_row import row_workers

ROWS: dict[str, Callable[[Bench], Figure]] = {
    "hot-50": lambda bench: row_hot(bench, "hot-50", 50, 10, 25, None),
    "hot-1000": lambda bench: row_hot(bench, "hot-1000", 1_000, 25, 60, 950_000),
    "hot-3000": lambda bench: row_hot(bench, "hot-3000", 3_000, None, 1_000, 2_500_000),
    "topics-100": lambda bench: row_topics(bench, "topics-100", 100, 6, 15),
    "topics-1000": lambda bench: row_topics(bench, "topics-1000", 1_000, 12, 40),
    "stream": row_stream,
    "stream-open": row_stream_open,
    "drain": row_drain,
    "idle": row_idle,
    "reconnect": row_reconnect,
    "post": row_post,
    "get": row_get,
    "stalled": row_stalled,
    "workers": row_workers,
}
