"""All that stands in this folder is marked `production`; what several of its tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.production.standby import Pair
from tests.servers import server_folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.production)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary and a standby of this test's own, to kill and to promote."""
    with server_folder() as folder, Pair(folder).running() as pair:
        yield pair
