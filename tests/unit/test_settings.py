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


def test_a_value_may_stand_in_a_file_and_passwords_apart_from_their_addresses(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key of thirty-two letters, or more\n")
    (tmp_path / "feed").write_text("p@ss/word\n")
    settings = load(
        FeedSettings,
        {
            "CHORUS_SECRET_KEY_FILE": str(tmp_path / "key"),
            "CHORUS_DATABASE_URL": "postgresql://chorus_feed@db:5433/chorus?sslmode=require",
            "CHORUS_DATABASE_PASSWORD_FILE": str(tmp_path / "feed"),
            "CHORUS_REDIS_URL": "rediss://redis",
            "CHORUS_REDIS_PASSWORD": "a b",
        },
    )
    mailing = {"CHORUS_SMTP_PASSWORD": "p@ss", "CHORUS_MAIL_FROM": "Chorus <a@b.example>"}
    named = load(NotifySettings, {**mailing, "CHORUS_SMTP_URL": "smtp://me@mail.example:587"})
    assert named.smtp_url == "smtp://me:p%40ss@mail.example:587"
    assert load(NotifySettings, {**mailing, "CHORUS_SMTP_URL": "smtp://mail"}).smtp_url == "smtp://mail"
    assert settings.secret_key == "a key of thirty-two letters, or more"
    assert settings.database_url == "postgresql://chorus_feed:p%40ss%2Fword@db:5433/chorus?sslmode=require"
    assert settings.postgres_for_notify() == settings.database_url
    assert settings.redis_url == "rediss://:a%20b@redis"
    assert "p@ss" not in repr(settings)


def test_a_secret_that_is_missing_says_how_to_make_it_and_shows_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "password").write_text("hunter2")
    with pytest.raises(SettingsError) as caught:
        load(
            FeedSettings,
            {
                "CHORUS_SECRET_KEY_FILE": str(tmp_path / "nowhere"),
                "CHORUS_DATABASE_PASSWORD_FILE": str(tmp_path / "empty"),
                "CHORUS_REDIS_PASSWORD_FILE": str(tmp_path / "password"),
                "CHORUS_REDIS_PASSWORD": "hunter3",
                "CHORUS_NOTIFY_DATABASE_PASSWORD_FILE": str(tmp_path),
            },
        )
    faults = "\n".join(caught.value.faults)
    assert f"CHORUS_SECRET_KEY_FILE: {tmp_path / 'nowhere'}: no such file or directory." in faults
    assert "`sh deploy/secrets.sh` makes what is missing" in faults
    assert f"CHORUS_DATABASE_PASSWORD_FILE: {tmp_path / 'empty'} is empty." in faults
    assert "CHORUS_REDIS_PASSWORD and CHORUS_REDIS_PASSWORD_FILE are both set: keep one." in faults
    assert "is a directory" in faults
    assert "hunter" not in faults


def test_a_proxy_is_trusted_by_its_address_or_network_and_never_everybody_by_a_star() -> None:
    settings = load(NotifySettings, {"CHORUS_TRUSTED_PROXIES": "10.0.0.0/24, ::1"})
    assert settings.trusted_proxies == ("10.0.0.0/24", "::1")
    with pytest.raises(SettingsError) as caught:
        load(NotifySettings, {"CHORUS_TRUSTED_PROXIES": "*"})
    assert caught.value.faults == ["CHORUS_TRUSTED_PROXIES: expected addresses and networks like 10.0.0.0/24."]


def test_half_of_a_pair_of_keys_is_named_and_an_endpoint_says_how_it_is_reached() -> None:
    half = {"CHORUS_MEDIA_ACCESS_KEY": "AKIAX", "CHORUS_MEDIA_ENDPOINT": "minio:9000"}
    with pytest.raises(SettingsError) as caught:
        load(FeedSettings, half)
    assert caught.value.faults == [
        "CHORUS_MEDIA_ENDPOINT must start with http:// or https://.",
        "CHORUS_MEDIA_ACCESS_KEY goes with CHORUS_MEDIA_SECRET_KEY: set both, or none.",
    ]
