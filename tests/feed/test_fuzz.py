"""Schemathesis against the running feed: whatever it makes of the OpenAPI document, no answer is a 500, and every
answer is as the document says."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck

from services.feed.app import create_app
from services.feed.settings import FeedSettings
from shared.listening import listen
from tests.chains import chained
from tests.feed.community import PASSWORD
from tests.feed.conftest import SECRET
from tests.servers import Database, give_role

EXAMPLES = 8
"""For each call; the whole stays under twenty seconds."""
ENDS_THE_SESSION = {
    ("/v1/sessions/current", "delete"),
    ("/v1/me/deletion", "post"),
    ("/v1/me/password", "post"),
    ("/v1/me/sessions/{session_id}", "delete"),
}


@pytest.fixture
def feed_url(database: Database, tmp_path: Path) -> Iterator[str]:
    """A feed in a thread of its own: hypothesis is not asynchronous."""
    door = listen("127.0.0.1", 0)
    settings = FeedSettings(
        database_url=database.url_feed,
        secret_key=SECRET,
        data_dir=str(tmp_path),
        writes_per_minute=100_000,
        sign_in_attempts=100_000,
        signups_per_hour=100_000,
    )
    broke: list[BaseException] = []
    app = create_app(settings, on_fatal=broke.append)
    config = uvicorn.Config(app, lifespan="on", http="httptools", ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    thread.start()
    url = f"http://127.0.0.1:{door.getsockname()[1]}"
    try:
        yield url  # the socket listens already: the first request waits until the feed answers
    finally:
        server.should_exit = True
        thread.join()
    assert not broke


class Caller:
    """Calls in the name of an admin, who may do everything; what ends a session ends that of somebody made for it."""

    def __init__(self, http: httpx.Client, database: Database) -> None:
        self._http = http
        self._numbers = count(1)
        account = self._sign_up()
        self._token: str = account["token"]
        asyncio.run(give_role(database, account["account"]["id"], "admin"))
        http.post("/v1/posts", json={"body": "#calm"}, headers={"Authorization": f"Bearer {self._token}"})

    def headers(self, operation: Any) -> dict[str, str]:
        """Who calls this operation."""
        ends = (operation.path, operation.method) in ENDS_THE_SESSION
        return {"Authorization": f"Bearer {self._sign_up()['token'] if ends else self._token}"}

    def _sign_up(self) -> dict[str, Any]:
        account = {"handle": f"caller{next(self._numbers)}", "display_name": "Ada", "password": PASSWORD}
        answer: dict[str, Any] = self._http.post("/v1/accounts", json=account).json()
        return answer


def operations(document: dict[str, Any]) -> Iterator[Any]:
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        yield result.ok()  # type: ignore[union-attr]


def test_no_request_that_can_be_made_of_the_document_breaks_the_feed(feed_url: str, database: Database) -> None:
    with httpx.Client(base_url=feed_url, timeout=30) as http:
        caller = Caller(http, database)
        document = http.get("/openapi.json").json()
        tried: Counter[tuple[str, str]] = Counter()
        for operation in operations(document):
            for mode in schemathesis.GenerationMode:

                @hypothesis.settings(
                    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
                    suppress_health_check=list(HealthCheck), phases=[hypothesis.Phase.generate],
                )  # fmt: skip
                @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
                def send(case: Any) -> None:
                    tried[case.operation.path, case.operation.method] += 1
                    response = case.call(base_url=feed_url, headers=caller.headers(case.operation))
                    assert response.status_code < 500, response.text
                    case.operation.validate_response(response)

                # A call that takes nothing can't be asked badly.
                with contextlib.suppress(hypothesis.errors.Unsatisfiable):
                    send()
        every = {(path, method) for path, methods in document["paths"].items() for method in methods}
        assert tried.keys() == every
        assert tried.total() > 300


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_chain_of_requests_breaks_the_feed(feed_url: str, database: Database) -> None:
    """Stateful: what one call answers is what the next one asks with, as the document's names let one guess."""
    with httpx.Client(base_url=feed_url, timeout=30) as http:
        caller = Caller(http, database)
        made = chained(feed_url, http.get("/openapi.json").json(), caller.headers, chains=150)
    assert sum(times for (_, status), times in made.items() if status in (200, 201)) > 100, made
