"""The page and its modules, read once at startup and served from memory; it knows no room and no data.

There is no build step, so file names carry no hash: instead every file is also served under a folder named by the
digest of them all, where it may be kept for ever. Relative imports stay inside it: a page never mixes two releases.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response, route

from shared.errors import NotFound

WEB = Path(__file__).parent.parent / "web"
PLACE = "/web/@/"
"""What index.html writes for the digest's folder."""
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
READ = [HttpMethod.GET, HttpMethod.HEAD]
SMALLEST = 860
"""Bytes under which gzip saves no packet."""


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its bytes as they are and gzipped (None where that gains nothing), and its entity tag."""

    body: bytes
    zipped: bytes | None
    media_type: str
    etag: str

    def answer(self, request: Request[Any, Any, Any], headers: dict[str, str]) -> Response[bytes]:
        """The file, smaller where the reader takes gzip, or 304 where the reader has it."""
        small = self.zipped is not None and "gzip" in request.headers.get("accept-encoding", "")
        etag = f'"{self.etag}-gz"' if small else f'"{self.etag}"'
        headers = {**headers, "ETag": etag, "Vary": "Accept-Encoding"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers, media_type=self.media_type)
        if small:
            headers["Content-Encoding"] = "gzip"
        return Response((self.zipped if small else None) or self.body, headers=headers, media_type=self.media_type)


def make_asset(name: str, body: bytes) -> Asset:
    """`body` as it will be served under `name`."""
    suffix = Path(name).suffix
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    zipped = gzip.compress(body, 9, mtime=0) if len(body) > SMALLEST else None
    return Asset(
        body=body,
        zipped=zipped if zipped is not None and len(zipped) < len(body) else None,
        media_type=kind,  # Litestar adds the charset to text
        etag=hashlib.sha256(body).hexdigest()[:20],
    )


def read_assets(folder: Path = WEB) -> tuple[dict[str, Asset], str]:
    """Every file below `folder` by its path, and the digest of them all. Licences and notes are not served."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + body for name, body in files.items())).hexdigest()[:12]
    shell = files["index.html"].decode().replace(PLACE, f"/web/{digest}/")
    files["index.html"] = shell.encode()
    return {name: make_asset(name, body) for name, body in files.items()}, digest


def content_security_policy(connect: Iterable[str]) -> str:
    """What the page may load: its own files, photos it was handed or is about to send, and `connect`'s origins."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: https:",
            "connect-src " + " ".join(["'self'", *connect]),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ]
    )


def page_routes(*, live_url: str, notify_url: str, folder: Path = WEB) -> list[Any]:
    """The shell at each of the page's places; `/live.js` and its import; every file below `/web/`."""
    assets, digest = read_assets(folder)
    scheme, _, rest = live_url.partition("://")
    shell_headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": content_security_policy([f"{scheme}://{rest.split('/', 1)[0]}", notify_url]),
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    # The live client may be imported by pages of other origins: it is public code and reads no cookie.
    module_headers = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}

    @route(
        [
            *("/", "/topics/{slug:str}", "/posts/{post_id:str}", "/stories", "/stories/{story_id:str}"),
            *("/account", "/confirm", "/recover", "/reset"),
        ],
        http_method=READ,
        name="page",
        include_in_schema=False,
        sync_to_thread=False,
    )
    def shell(request: Request[Any, Any, Any]) -> Response[bytes]:
        return assets["index.html"].answer(request, shell_headers)

    @route(
        ["/live.js", "/proof.js"], http_method=READ, name="live_client", include_in_schema=False, sync_to_thread=False
    )
    def live_client(request: Request[Any, Any, Any]) -> Response[bytes]:
        return assets[request.url.path.lstrip("/")].answer(request, module_headers)

    @route("/web/{path:path}", http_method=READ, name="assets", include_in_schema=False, sync_to_thread=False)
    def static(request: Request[Any, Any, Any]) -> Response[bytes]:
        first, _, name = str(request.path_params["path"]).lstrip("/").partition("/")
        if first == digest and name in assets:
            return assets[name].answer(request, {"Cache-Control": "public, max-age=31536000, immutable"})
        # Another release's folder answers with this one's file: a page open across a deploy still gets its modules.
        asset = assets.get(f"{first}/{name}" if name else first) or assets.get(name)
        if asset is None:
            raise NotFound
        return asset.answer(request, {"Cache-Control": "no-cache"})

    return [shell, live_client, static]
