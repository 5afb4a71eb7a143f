"""How the page is handed out: from memory, small, tagged, with a policy that lets nothing foreign in."""

import gzip
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from services.feed.api.pages import WEB, page_routes, read_assets
from shared.web import EXCEPTION_HANDLERS

BUDGET = 60 * 1024
"""Bytes of our own that a first view may load, gzipped: PAGE.md."""
ZIPPED = {"Accept-Encoding": "gzip"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that serves the page alone."""
    routes: list[Any] = page_routes(live_url="wss://live.example/v1/live", notify_url="https://live.example")
    app = Litestar(routes, exception_handlers=EXCEPTION_HANDLERS, openapi_config=None)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://page.test") as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/topics/sleep", "/topics/%E5%8F%8B", "/posts/123", "/stories/new", "/account", "/reset"]
)
async def test_every_place_is_the_same_shell_under_the_same_policy(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' wss://live.example https://live.example" in policy
    assert "unsafe" not in policy
    assert "/web/@/" not in answer.text


async def test_a_reader_who_has_it_gets_304_and_gzip_has_a_tag_of_its_own(http: httpx.AsyncClient) -> None:
    small = await http.get("/live.js", headers=ZIPPED)
    plain = await http.get("/live.js", headers={"Accept-Encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert small.content == plain.content == (WEB / "live.js").read_bytes()
    assert small.headers["etag"] != plain.headers["etag"]
    assert not plain.headers["etag"].startswith("W/")
    again = await http.get("/live.js", headers={**ZIPPED, "If-None-Match": small.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await http.head("/")).status_code == 200


async def test_what_the_shell_names_may_be_kept_for_ever(http: httpx.AsyncClient) -> None:
    shell = await http.get("/")
    named = re.findall(r'(?:href|src)="(/web/[^"]+)"', shell.text)
    assert len(named) > 20
    for path in named:
        answer = await http.get(path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["cache-control"]
    old = re.sub(r"/web/[0-9a-f]+/", "/web/000000000000/", named[0])
    assert "immutable" not in (await http.get(old)).headers["cache-control"]


@pytest.mark.parametrize("path", ["/web/none.js", "/web/README.md", "/web/../app.py", "/web/%2e%2e/app.py", "/web/"])
async def test_nothing_beside_the_assets_is_served(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


def test_the_first_view_stays_within_its_weight() -> None:
    assets, _ = read_assets()
    later = ("vendor/", "app/later/", "styles/later")
    ours = {name: asset for name, asset in assets.items() if not name.startswith(later)}
    static = re.compile(rb"from \"[^\"]*later/|styles/later")
    assert not [name for name, asset in ours.items() if static.search(asset.body)], "later means on demand"
    weight = sum(len(gzip.compress(asset.body, 9)) for asset in ours.values())
    assert weight < BUDGET, f"{weight} bytes"
