"""Fixtures that everybody shares: real servers, a database per test, the services as processes, a browser."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser

from services.embedded import Engine, Postgres, Redis
from shared import ids
from tests.browser.chromium import find_chromium, open_chromium
from tests.notify.delivery.mail import MailServer, mail_server
from tests.servers import (
    TEMPLATE,
    Database,
    fresh_database,
    known_redis_engines,
    make_template,
    running_postgres,
    running_redis,
    server_folder,
)
from tests.stack import Stack, running_stack

TOLD = "told"
"""`record_property(TOLD, words)`: the words stand at the end of what pytest prints."""
_BOTH = "both_redis"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_BOTH}: runs once on every Redis of this machine (redis-server, the wheel)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "redis_choice" not in metafunc.fixturenames:
        return
    if metafunc.definition.get_closest_marker(_BOTH) or _BOTH in metafunc.fixturenames:
        names = list(known_redis_engines())
        assert len(names) > 1 or not os.environ.get("CI"), f"CI runs on both Redises, found {names}"
        metafunc.parametrize("redis_choice", names, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the processes behind it said."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("services")
    if report.failed and isinstance(stack, Stack):
        for service in stack.services:
            report.sections.append((f"log of {service.name}", service.tail()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a test has to say though it passed: counts, for one, of the faults that fired."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, words in report.user_properties:
            if name == TOLD and report.when == "call":
                terminalreporter.section(report.nodeid)
                terminalreporter.write_line(str(words))


@pytest.fixture(autouse=True)
def ids_of_its_own_time() -> Iterator[None]:
    """Ids never go back in a process: a test that moves the clock ahead would leave them there for all that follow."""
    yield
    ids._last = 0


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """The folder of this pytest process's servers."""
    with server_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server(servers_dir: Path) -> Iterator[Postgres]:
    """The Postgres of this pytest process. Don't stop it: that is what `own_postgres` is for."""
    with running_postgres(servers_dir / "pg") as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres_server: Postgres) -> str:
    """The name of a migrated, empty database to clone."""
    make_template(postgres_server)
    return TEMPLATE


@pytest.fixture
def database(postgres_server: Postgres, template: str) -> Iterator[Database]:
    """A database of this test's own, migrated and empty."""
    with fresh_database(postgres_server, template) as database:
        yield database


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A Postgres of this test's own, neither migrated nor shared: to stop, kill or pause. Costs a second."""
    with server_folder() as folder, running_postgres(folder / "pg") as server:
        yield server


@pytest.fixture(scope="session")
def redis_choice(request: pytest.FixtureRequest) -> Engine:
    """The Redis engine to run on: the preferred one, or each in turn for tests marked `both_redis`."""
    engines = known_redis_engines()
    return engines[getattr(request, "param", next(iter(engines)))]


@pytest.fixture
def both_redis() -> None:
    """Asking for it runs the test on every Redis, as the marker does."""


@pytest.fixture(scope="session")
def redis_server(servers_dir: Path, redis_choice: Engine) -> Iterator[Redis]:
    """The Redis of this pytest process. Don't stop it: that is what `own_redis` is for."""
    with running_redis(servers_dir / redis_choice.name, redis_choice) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The address of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
    return redis_server.url


@pytest.fixture
def own_redis(redis_choice: Engine) -> Iterator[Redis]:
    """A Redis of this test's own: to stop, start again, kill or pause. Costs 0.05 s."""
    with server_folder() as folder, running_redis(folder / "redis", redis_choice) as server:
        yield server


@pytest.fixture
def services(database: Database, redis_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Sequencer, feed and one notify as processes, ready. `@pytest.mark.parametrize("services", [{…}], indirect=True)`
    adds settings to their environment."""
    with running_stack(database, redis_url, tmp_path, getattr(request, "param", {})) as stack:
        yield stack


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server of this test's own."""
    with mail_server() as server:
        yield server


@pytest.fixture
def mailing_services(database: Database, redis_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Stack]:
    """The services, told of `mail`."""
    settings = {"CHORUS_SMTP_URL": mail.url, "CHORUS_MAIL_FROM": "Chorus <hello@chorus.test>"}
    with running_stack(database, redis_url, tmp_path, settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's browser, for a module of synchronous tests: playwright's loop keeps asyncio's out meanwhile."""
    try:
        find_chromium()
    except FileNotFoundError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    with open_chromium() as browser:
        yield browser
