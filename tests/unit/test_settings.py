"""Settings: every fault at once, by name; and the table in the README is the code's own."""

from pathlib import Path

import pytest

from services.feed.settings import FeedSettings
from services.notify.settings import NotifySettings
from services.settings_table import markdown
from shared.settings import SettingsError, load

README = Path(__file__).parents[2] / "README.md"


def test_every_fault_is_reported_at_once_by_name() -> None:
    environ = {"CHORUS_FEED_PORT": "many", "CHORUS_LOGS": "0", "CHORUS_SECRET_KEY": "short"}
    with pytest.raises(SettingsError) as caught:
        load(FeedSettings, environ, require=("database_url",))
    named = "\n".join(caught.value.faults)
    for name in ("CHORUS_FEED_PORT", "CHORUS_LOGS", "CHORUS_SECRET_KEY", "CHORUS_DATABASE_URL"):
        assert name in named


def test_a_fault_never_repeats_a_value_that_may_be_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        load(FeedSettings, {"CHORUS_SECRET_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_an_empty_value_counts_as_unset() -> None:
    assert load(FeedSettings, {"CHORUS_FEED_PORT": " "}).feed_port == 8000


def test_lists_are_comma_separated() -> None:
    settings = load(NotifySettings, {"CHORUS_ALLOWED_ORIGINS": "https://a.example, https://b.example/"})
    assert {"https://a.example", "https://b.example"} <= settings.origins()


def test_the_table_in_the_readme_is_the_codes_own() -> None:
    assert markdown() in README.read_text(encoding="utf-8"), "run `make docs`"


def test_an_address_of_another_kind_is_named_without_being_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(FeedSettings, {"CHORUS_DATABASE_URL": "mysql://me:hunter2@db/x", "CHORUS_REDIS_URL": "localhost"})
    assert caught.value.faults == [
        "CHORUS_DATABASE_URL must start with postgresql:// or postgres://.",
        "CHORUS_REDIS_URL must start with redis:// or rediss:// or redis+sentinel:// or rediss+sentinel:// or "
        "redis+cluster:// or rediss+cluster:// or unix://.",
    ]


@pytest.mark.parametrize("password", ["hun@ter2", "hun/ter2", "hun ter2"])
def test_a_password_that_breaks_its_address_is_told_before_anybody_connects(password: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(FeedSettings, {"CHORUS_DATABASE_URL": f"postgresql://me:{password}@db/chorus"})
    [fault] = caught.value.faults
    assert fault.startswith("CHORUS_DATABASE_URL: write @ / # and spaces of a password percent-encoded")
    assert "ter2" not in fault


def test_faults_speak_of_numbers_and_not_of_python() -> None:
    with pytest.raises(SettingsError) as caught:
        load(NotifySettings, {"CHORUS_FEED_PORT": "many", "CHORUS_DRAIN": "-1"})
    assert caught.value.faults == [
        "CHORUS_FEED_PORT: Expected a whole number.",
        "CHORUS_DRAIN: Expected a number, >= 0.0.",
    ]
