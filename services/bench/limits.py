"""The limit of the GET rows: a constant handler behind the same server; and how raw requests are written."""

import sys
import time

import msgspec

from services.bench.bench import Bench
from services.bench.stack import NotUp, free_port
from services.embedded import Child


class Constant:
    """A server whose only answer is `size` constant bytes, for the length of a block."""

    def __init__(self, bench: Bench, size: int) -> None:
        self.port = free_port()
        self._log = bench.stack.folder / f"constant-{self.port}.log"
        self._command = [sys.executable, "-m", "services.bench.constant", str(self.port), str(size)]

    def __enter__(self) -> "Constant":
        with self._log.open("ab") as log:
            self._child = Child(self._command, output=log)
        deadline = time.monotonic() + 20
        while "listening" not in self._log.read_text():
            if self._child.exit_code is not None or time.monotonic() > deadline:
                self._child.end()
                raise NotUp(f"the constant server: {self._log.read_text()[-300:]}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._child.end((15, 3))


def getting(port: int, path: str, **headers: str) -> bytes:
    """A complete GET request; an underscore in a header's name is a hyphen."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n{lines}\r\n".encode()


def posting(port: int, path: str, token: str, body: object) -> bytes:
    """A complete POST request with a bearer token."""
    content = msgspec.json.encode(body)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
