"""reader.c again in Python, for machines without a compiler: same arguments, commands and reports.

Simple rather than fast: one loop, a full parse of every frame. The bench warns when it has to use it.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any, cast

_UPGRADE = (
    "GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y2hvcnVzIGJlbmNobWFyaw==\r\n"
    "Sec-WebSocket-Protocol: chorus.v1\r\n\r\n"
)
_INFLIGHT = 100


def quantile(values: list[float], share: float) -> float:
    """The smallest value that a share of all does not exceed; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Count:
    """What all sockets of this process saw since `measure`."""

    def __init__(self) -> None:
        self.window = (0, 2**62)
        self.numbers: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.recoveries: list[float] = []
        self.first_dial = time.monotonic()
        self.last_upgrade = self.first_hello = self.last_live = self.first_dial
        self.sample = ""
        self.measure(*self.window)

    def measure(self, since: int, until: int) -> None:
        """Count from now on."""
        self.window = (since, until)
        self.latencies = []
        self.last_arrival = 0
        for name in ("events", "delivered", "gaps", "repeats", "unstamped", "bytes", "reads"):
            self.numbers[name] = 0
        self.cpu, self.began = time.process_time(), time.time()

    def report(self, sockets: int) -> dict[str, Any]:
        """The same fields as reader.c."""
        names = "upgraded live closed events delivered gaps repeats resets errors unstamped bytes reads"
        return {
            "sockets": sockets,
            **{name: self.numbers[name] for name in names.split()},
            "upgraded_at_hello": self.numbers["upgraded_at_hello"],
            **{f"p{n}_ms": quantile(self.latencies, n / 100) / 1000 for n in (50, 90, 99)},
            "max_ms": max(self.latencies, default=0) / 1000,
            "last_arrival_us": self.last_arrival,
            "cpu": time.process_time() - self.cpu,
            "wall": time.time() - self.began,
            "upgrade_s": self.last_upgrade - self.first_dial,
            "recovery_s": self.last_live - self.first_hello,
            "recovery_p50_ms": quantile(self.recoveries, 0.5) * 1000,
            "recovery_p99_ms": quantile(self.recoveries, 0.99) * 1000,
            "codes": self.codes,
            "sample": self.sample,
        }


class Client(asyncio.Protocol):
    """One socket: handshake, hello, frames, and the proof rule where it has a single subscription."""

    def __init__(self, count: Count, port: int, hello: bytes, told: asyncio.Future[None]) -> None:
        self.count, self.port, self.hello, self.told = count, port, hello, told
        self.buffer = b""
        self.state = "upgrading"
        self.left = hello.count(b'"channel":')
        self.one = self.left == 1
        since = hello.partition(b'"seq":[')[2].split(b"]")[0]
        self.mine = int(since) if since else -1
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self.transport.write(_UPGRADE.format(port=self.port).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state != "closed":
            self.end("1006")

    def data_received(self, data: bytes) -> None:
        self.count.numbers["bytes"] += len(data)
        self.count.numbers["reads"] += 1
        now = time.time_ns() // 1000
        self.buffer += data
        if self.state == "upgrading":
            self.upgrade()
        while self.state not in ("upgrading", "closed") and (frame := self.frame()):
            self.take(*frame, now)

    def upgrade(self) -> None:
        head, stop, rest = self.buffer.partition(b"\r\n\r\n")
        if not stop:
            return
        if b" 101 " not in head[:16]:
            self.count.sample = self.count.sample or head.decode(errors="replace")
            self.end("0")
            return
        self.buffer = rest
        self.state = "upgraded"
        self.count.numbers["upgraded"] += 1
        self.count.last_upgrade = time.monotonic()
        self.over.set_result(None)
        self.told.add_done_callback(lambda _: self.greet())

    def greet(self) -> None:
        if self.state == "upgraded":
            self.state, self.greeted = "greeted", time.monotonic()
            self.send(1, self.hello)

    def send(self, opcode: int, text: bytes) -> None:
        size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2)
        self.transport.write(bytes([0x80 | opcode]) + size + b"\0\0\0\0" + text)

    def frame(self) -> tuple[int, bytes] | None:
        data = self.buffer
        if len(data) < 2:
            return None
        size, head = data[1] & 127, 2
        if size >= 126:
            head = 4 if size == 126 else 10
            size = int.from_bytes(data[2:head])
        if len(data) < head + size:
            return None
        self.buffer = data[head + size :]
        return data[0] & 15, data[head : head + size]

    def take(self, opcode: int, text: bytes, now: int) -> None:
        if opcode == 8:
            self.end(str(int.from_bytes(text[:2]) if len(text) >= 2 else 1005))
        elif opcode == 9:
            self.send(10, text)
        elif opcode == 1:
            message = json.loads(text)
            kind = message["type"]
            if kind == "event":
                self.event(message, now)
            elif kind == "subscribed":
                self.subscribed(message)
            elif kind in ("reset", "error"):
                self.count.numbers[f"{kind}s"] += 1
                self.count.sample = self.count.sample or text.decode()

    def subscribed(self, message: dict[str, Any]) -> None:
        if self.one:
            self.mine = max(self.mine, message["as_of"]["seq"][0])
        self.left -= 1
        if self.state == "greeted" and self.left == 0:
            self.state = "live"
            self.count.numbers["live"] += 1
            self.count.last_live = time.monotonic()
            self.count.recoveries.append(self.count.last_live - self.greeted)

    def event(self, message: dict[str, Any], now: int) -> None:
        count = self.count
        count.numbers["events"] += 1
        if self.one and self.mine >= 0:
            if message["seq"] <= self.mine:
                count.numbers["repeats"] += 1
                return
            count.numbers["gaps"] += message["prev"] > self.mine
        self.mine = max(self.mine, message["seq"])
        stamp = message["event"].get("t")
        count.numbers["unstamped"] += stamp is None
        if stamp is not None and count.window[0] <= stamp < count.window[1]:
            count.numbers["delivered"] += 1
            count.last_arrival = now
            count.latencies.append(now - stamp)

    def end(self, code: str) -> None:
        self.count.numbers["live"] -= self.state == "live"
        self.count.numbers["closed"] += 1
        self.count.codes[code] += 1
        self.state = "closed"
        if not self.over.done():
            self.over.set_result(None)
        self.transport.close()


async def reader(port: int, sockets: int, hellos: list[bytes], start: str) -> None:
    """As reader.c: connect, greet, then obey stdin until it ends."""
    loop, count = asyncio.get_running_loop(), Count()
    told: asyncio.Future[None] = loop.create_future()
    gate = asyncio.Semaphore(_INFLIGHT)
    if start == "at-once":
        told.set_result(None)

    async def dial(number: int) -> None:
        async with gate:
            _, client = await loop.create_connection(
                lambda: Client(count, port, hellos[number % len(hellos)], told), "127.0.0.1", port
            )
            await client.over

    await asyncio.gather(*(dial(number) for number in range(sockets)))
    count.first_hello = count.first_dial if told.done() else time.monotonic()
    count.numbers["upgraded_at_hello"] = count.numbers["upgraded"]
    if not told.done():
        told.set_result(None)
    while count.numbers["live"] + count.numbers["closed"] < sockets:  # noqa: ASYNC110 - a moment late costs nothing
        await asyncio.sleep(0.01)
    print(json.dumps(count.report(sockets)), flush=True)
    while (line := (await asyncio.to_thread(sys.stdin.readline)).split()) and line[0] != "quit":
        if line[0] == "report":
            print(json.dumps(count.report(sockets)), flush=True)
        else:
            count.measure(int(line[1]), int(line[2]))
