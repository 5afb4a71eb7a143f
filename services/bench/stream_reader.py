"""Reads the log's stream as any consumer could, with XREAD, and keeps when each event arrived."""

import threading
import time
from statistics import median
from typing import Any

import redis


class StreamReader:
    """A thread that reads from now on; latencies are those of events stamped in the window."""

    def __init__(self, url: str, stream: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=5)
        self._stream = stream
        self._latencies: list[int] = []
        self.cpu = 0.0
        """Seconds that reading took of a processor, within the window."""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, since_us: int, until_us: int) -> None:
        """Reading begins behind what is there."""
        last = self._client.xinfo_stream(self._stream)["last-generated-id"]
        self._thread = threading.Thread(target=self._read, args=(last, since_us, until_us))
        self._thread.start()

    def _read(self, last: bytes, since: int, until: int) -> None:
        before = time.thread_time()
        while not self._stopping.is_set():
            found: Any = self._client.xread({self._stream: last}, count=1000, block=500)
            now = time.time_ns() // 1000
            if now < since:
                before = time.thread_time()
            elif now < until:
                self.cpu = time.thread_time() - before
            for _, entries in found or []:
                last = entries[-1][0]
                for _, fields in entries:
                    payload = fields[b"p"]
                    if payload.startswith(b'{"t":') and since <= (stamp := int(payload[5:21])) < until:
                        self._latencies.append(now - stamp)

    def finish(self, events: int, patience: float) -> tuple[float, float, int] | None:
        """p50 and p99 in milliseconds and how many arrived, when all did or after `patience` seconds; None: nothing."""
        deadline = time.monotonic() + patience
        while len(self._latencies) < events and time.monotonic() < deadline:
            time.sleep(0.05)
        found = sorted(self._latencies)
        if not found:
            return None
        return median(found) / 1000, found[int(len(found) * 0.99)] / 1000, len(found)

    def end(self) -> None:
        """The thread is gone. Twice is safe."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._client.close()
