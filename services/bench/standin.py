"""load.c and rawwrite.c again in Python, for machines without a compiler, and the door to reader.c's stand-in.

Same arguments, commands and reports; simple rather than fast, so the bench warns when it has to use them.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

import uvloop

from services.bench.standin_reader import quantile, reader

_WARMING = 0.5


async def load(port: int, connections: int, seconds: float, requests: list[bytes]) -> None:
    """As load.c."""
    begin = time.monotonic() + _WARMING
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    sample = ""

    async def run(request: bytes) -> None:
        nonlocal sample
        incoming, outgoing = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.monotonic()) < begin + seconds:
            outgoing.write(request)
            head = await incoming.readuntil(b"\r\n\r\n")
            status = head[9:12].decode()
            field = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0].strip()
            body = await incoming.readexactly(int(field or 0)) if status not in ("204", "304") else b""
            if began >= begin:
                latencies.append((time.monotonic() - began) * 1000)
                statuses[status] += 1
                numbers["bytes"] += len(head) + len(body)
            if status >= "400":
                sample = sample or (head + body).decode(errors="replace")[:300]
        outgoing.close()

    await asyncio.gather(*(run(requests[number % len(requests)]) for number in range(connections)))
    told = {"seconds": seconds, "answers": len(latencies), "bytes": numbers["bytes"], "broken": 0}
    told |= {"cpu": time.process_time(), "p50_ms": quantile(latencies, 0.5), "p99_ms": quantile(latencies, 0.99)}
    print(json.dumps({**told, "status": statuses, "sample": sample}))


def rawwrite(sockets: int, size: int, rounds: int) -> None:
    """As rawwrite.c, with a thread-free child that reads."""
    door = socket.create_server(("127.0.0.1", 0))
    pairs = []
    for _ in range(sockets):
        far = socket.create_connection(door.getsockname())
        pairs.append((door.accept()[0], far))
    if os.fork() == 0:
        for near, _ in pairs:
            near.close()
        asyncio.run(_drain([far for _, far in pairs]))
        os._exit(0)
    for _, far in pairs:
        far.close()
    message, took = b"x" * size, []
    for _ in range(rounds):
        time.sleep(0.02)
        began = time.monotonic()
        for near, _ in pairs:
            near.send(message)
        took.append(1000 * (time.monotonic() - began))
    for near, _ in pairs:
        near.close()
    os.wait()
    print(json.dumps({"median_ms": median(took), "least_ms": min(took)}))


async def _drain(sockets: list[socket.socket]) -> None:
    async def drain(one: socket.socket) -> None:
        one.setblocking(False)
        while await asyncio.get_running_loop().sock_recv(one, 65536):
            pass

    await asyncio.gather(*(drain(one) for one in sockets))


def main(name: str, *arguments: str) -> None:
    """Run one stand-in."""
    if name == "rawwrite":
        rawwrite(*map(int, arguments))
    elif name == "load":
        requests = [part for part in Path(arguments[3]).read_bytes().split(b"\0") if part]
        uvloop.run(load(int(arguments[0]), int(arguments[1]), float(arguments[2]), requests))
    else:
        hellos = Path(arguments[2]).read_bytes().splitlines()
        uvloop.run(reader(int(arguments[0]), int(arguments[1]), hellos, arguments[3]))


if __name__ == "__main__":
    main(*sys.argv[1:])
