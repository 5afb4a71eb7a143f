"""A program that is missing skips a test on a laptop, and fails it in CI, unless CI has said that it can't be had."""

import pytest

from tests.needed import NOT_TO_BE_HAD, needed


def test_what_is_missing_fails_in_ci_and_is_skipped_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert needed("sh", "dash").name == "sh"
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install no-package"):
        needed("no-such-program", "no-package")
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv(NOT_TO_BE_HAD, "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install no-package"):
        needed("no-such-program", "no-package")
    monkeypatch.setenv(NOT_TO_BE_HAD, "caddy no-package")
    with pytest.raises(pytest.skip.Exception):
        needed("no-such-program", "no-package")
