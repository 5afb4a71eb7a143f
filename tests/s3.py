"""Objects over S3's protocol on loopback, for tests: whoever signs with its key and region is served, others are not.

It checks signatures as S3 does (Signature Version 4), so that who mixes up key, region or endpoint is refused.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


PAGE = 3
"""Keys that one listing says."""


class S3:
    """`objects` by `/photos/key`, the one bucket there is; `refused` counts what was badly signed, `deleting` the
    deletions under way, each of which takes `slow` seconds."""

    def __init__(self, key: str, secret: str, region: str) -> None:
        self.key, self.secret, self.region = key, secret, region
        self.objects: dict[str, bytes] = {}
        self.refused = 0
        self.deleting = 0
        self.slow = 0.0
        self.url = ""

    def settings(self) -> dict[str, str]:
        """The settings of who keeps photos there."""
        return {
            "media_url": "s3://photos/of/chorus",
            "media_endpoint": self.url,
            "media_region": self.region,
            "media_access_key": self.key,
            "media_secret_key": self.secret,
        }

    def knows(self, method: str, target: str, headers: Any) -> bool:
        """Whether a request is signed with our key, for our region."""
        said = _SIGNED.fullmatch(headers.get("Authorization", ""))
        if said is None or (said["key"], said["region"]) != (self.key, self.region):
            return False
        parts = urlsplit(target)
        lines = [f"{name}:{' '.join(headers[name].split())}" for name in said["headers"].split(";")]
        query = "&".join(sorted(parts.query.split("&")))
        asked = [method, parts.path, query, *lines, "", said["headers"], headers["x-amz-content-sha256"]]
        scope = f"{said['day']}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()
        words = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.compare_digest(hmac.digest(key, words.encode(), "sha256").hex(), said["signature"])


def _listed(objects: dict[str, bytes], asked: dict[str, list[str]]) -> bytes:
    """One page of what lies under the prefix, in the order of the keys; few a page, so that there are several."""
    prefix, after = asked.get("prefix", [""])[0], asked.get("continuation-token", [""])[0]
    keys = sorted(key for path in objects if (key := path.removeprefix("/photos/")).startswith(prefix) and key > after)
    page = keys[:PAGE]
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>{len(objects[f'/photos/{key}'])}</Size><ETag>&quot;0&quot;</ETag>"
        f"<LastModified>2026-11-23T12:00:00.000Z</LastModified></Contents>"
        for key in page
    )
    more = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if len(keys) > PAGE else ""
    cut = str(bool(more)).lower()
    return f"<ListBucketResult><IsTruncated>{cut}</IsTruncated>{more}{rows}</ListBucketResult>".encode()


@contextmanager
def s3_server(*, key: str = "chorus", secret: str = "a key of S3", region: str = "us-east-1") -> Iterator[S3]:
    """A server that listens, for the length of the block; and has the bucket `photos`."""
    s3 = S3(key, secret, region)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not s3.knows(self.command, self.path, self.headers):
                s3.refused += 1
                self._send(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            elif not self.path.startswith(("/photos/", "/photos?")):
                self._send(404, b"<Error><Code>NoSuchBucket</Code></Error>")
            elif "list-type=2" in self.path:
                self._send(200, _listed(s3.objects, parse_qs(urlsplit(self.path).query)))
            elif self.command == "PUT":
                s3.objects[self.path] = body
                self._send(200, b"")
            elif self.command == "DELETE":
                s3.deleting += 1
                time.sleep(s3.slow)
                s3.objects.pop(self.path, None)
                s3.deleting -= 1
                self._send(204, b"")
            elif self.path in s3.objects:
                self._send(200, s3.objects[self.path])
            else:
                self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")

        do_GET = do_HEAD = do_PUT = do_DELETE = _answer  # noqa: N815

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"')
            self.send_header("Last-Modified", "Mon, 23 Nov 2026 12:00:00 GMT")
            self.end_headers()
            if self.command != "HEAD" and status != 204:
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    s3.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield s3
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
