"""Addresses as commands show them: where they lead, and never a password."""

import pytest

from services.reaching import address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@db:5432/chorus", "db:5432, database chorus, as me"),
        ("postgresql://me@/chorus?host=%2Frun%2Fpg&port=5432", "/run/pg, database chorus, as me"),
        ("postgresql://me:hun@ter2/x hunter2@db/chorus", "db, database chorus, as me"),
        ("postgresql://me:hunter2/x@db/chorus", "db, database chorus, as me"),
        ("redis://:hunter2@cache:6379/0", "cache:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert address(url) == shown
